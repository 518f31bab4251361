"""Tokens to rows of the embedding tables, one map a column; id 0 is a missing or an unseen token."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.config import Data
from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.counting import Run, is_first, merge_runs
from distdnas_hpc.data.dictionary import Tokens
from distdnas_hpc.data.side_by_side import side_by_side
from distdnas_hpc.data.token_hash import hash_into


@dataclass(frozen=True)
class ExactIds:
    """Every known token has an id of its own: 1, 2, … in the order of the tokens.

    Parameters
    ----------
    tokens : (rows - 1,) sorted, distinct.
    """

    tokens: Tokens

    @property
    def rows(self) -> int:
        """Rows of the embedding table, id 0 included."""
        return len(self.tokens) + 1

    def look_up(self, tokens: Tokens, ids: NDArray[np.int32]) -> None:
        """Do as `encode` does, in a time that does not depend on how many tokens are known: for a few of them."""
        places = np.searchsorted(self.tokens, tokens)
        known = places < len(self.tokens)
        known[known] = self.tokens[places[known]] == tokens[known]
        ids[:] = np.where(known, places + 1, 0)

    def encode(self, tokens: Tokens, ids: NDArray[np.int32]) -> None:
        """Write the ids of tokens (n,) into ids (n,), 0 to rows - 1; 0 for tokens that are not known.

        Both are gone through in order, which takes less time and memory than a hash table; so few calls with many
        tokens are better than many with few.
        """
        if len(tokens) and tokens.min() >= 0 and tokens.max() < 2**32:
            # With its place in its lower half, a short token is sorted three times as fast as by way of an argsort.
            both = np.sort(tokens.view(np.uint64) << np.uint64(32) | np.arange(len(tokens), dtype=np.uint64))
            _join(
                (both >> np.uint64(32)).view(np.int64), (both & np.uint64(2**32 - 1)).view(np.int64), self.tokens, ids
            )
        else:
            places = np.argsort(tokens)
            _join(tokens[places], places, self.tokens, ids)


@dataclass(frozen=True)
class HashedIds:
    """Tokens share the ids 1 to rows - 1 by a hash, because there are more of them than the cap allows.

    Parameters
    ----------
    rows : rows of the embedding table, id 0 included; at least 2.
    """

    rows: int

    def encode(self, tokens: Tokens, ids: NDArray[np.int32]) -> None:
        """Write the ids of tokens (n,) into ids (n,), 0 to rows - 1; equal on every machine."""
        hash_into(tokens, self.rows, ids)

    look_up = encode


IdMap = ExactIds | HashedIds


@compiled
def _join(tokens: Tokens, places: NDArray[np.int64], known: Tokens, ids: NDArray[np.int32]) -> None:
    """Write the place of each of some sorted tokens among known ones, from 1 or 0, to its own place in `ids`."""
    k = 0
    for i in range(len(tokens)):
        while k < len(known) and known[k] < tokens[i]:
            k += 1
        ids[places[i]] = k + 1 if k < len(known) and known[k] == tokens[i] else 0


def unite_ids(days: Iterable[Sequence[Callable[[], Tokens | None]]], data: Data) -> list[IdMap]:
    """Give every token of each column an id, or hash the columns that have more than fit below `data.max_rows`.

    Memory: the ids of all columns, and some 40 bytes for each token of a day in two columns.

    Parameters
    ----------
    days : of each training day and column, what returns the day's tokens, in any order, or None where one day has too
        many of them; called before the next day is asked for.
    """
    united: list[Tokens | None] = [np.empty(0, np.int64)] * data.schema_.sparse

    def unite(column: tuple[Tokens | None, Callable[[], Tokens | None]]) -> Tokens | None:
        known, read = column
        tokens = None if known is None else read()
        if known is None or tokens is None:
            return None
        both = np.concatenate([known, tokens])
        if len(both) and both.max() < 2**32:  # short ones, which are sorted twice as fast as what they are
            both = both.astype(np.uint32)
        both.sort()
        both = both[is_first(both)].astype(np.int64, copy=False)
        return both if len(both) < data.max_rows else None

    for columns in days:
        united = side_by_side(unite, list(zip(united, columns, strict=True)))
    return [HashedIds(data.max_rows) if tokens is None else ExactIds(tokens) for tokens in united]


def choose_ids(runs: Sequence[Run], data: Data) -> tuple[IdMap, int]:
    """Decide which tokens of a column get an id of their own where counts matter (`data.counted`).

    These are the tokens seen at least `data.min_count` times. Where they are more than fit below `data.max_rows`, the
    most frequent ones are kept (those with the smallest tokens among equally frequent ones), or all tokens are hashed,
    seldom seen ones too, as `data.overflow` says. Memory is bounded by MERGED_TOKENS and `max_rows`, whatever the runs.

    Parameters
    ----------
    runs : those of this column on the training days.

    Returns
    -------
    The map, and the number of tokens that it drops: seen on the training days, yet without an id.
    """
    limit = data.max_rows - 1
    kept: list[Run] = []
    size = seen = 0
    for tokens, counts in merge_runs(runs):
        seen += len(tokens)
        often = counts >= data.min_count
        kept.append(Run(tokens[often], counts[often]))
        size += len(kept[-1].tokens)
        if size > limit and data.overflow == "hash":
            return HashedIds(data.max_rows), 0
        if size > 2 * limit:  # so seldom that choosing costs little
            kept = [_most_frequent(kept, limit)]
            size = limit
    tokens = _most_frequent(kept, limit).tokens
    return ExactIds(tokens), seen - len(tokens)


def _most_frequent(runs: Sequence[Run], limit: int) -> Run:
    """Return at most `limit` tokens of runs that follow each other, in their order."""
    tokens = np.concatenate([run.tokens for run in runs])
    counts = np.concatenate([run.counts for run in runs])
    if len(tokens) <= limit:
        return Run(tokens, counts)
    # Stable, so that of equally frequent tokens the smaller comes first.
    best = np.sort(np.argsort(-counts, kind="stable")[:limit])
    return Run(tokens[best], counts[best])
