"""Tokens to rows of the embedding tables, one map a column; id 0 is a missing or an unseen token."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.config import Data
from distdnas_hpc.data.counting import Run, merge_runs
from distdnas_hpc.data.token_table import Table, Tokens, hash_into, look_up, new_table, number


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

    def encode(self, tokens: Tokens, ids: NDArray[np.int32]) -> None:
        """Write the ids of tokens (n,) into ids (n,), 0 to rows - 1; 0 for tokens that are not known."""
        look_up(tokens, self._table, ids)

    @cached_property
    def _table(self) -> Table:
        table = new_table(len(self.tokens), columns=2)
        number(self.tokens, table)
        return table


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


IdMap = ExactIds | HashedIds


def choose_ids(runs: Sequence[Run], data: Data) -> tuple[IdMap, int]:
    """Decide which tokens of a column get an id of their own.

    These are the tokens seen at least `data.min_count` times. Where they are more than fit below `data.max_rows`, the
    most frequent ones are kept (those with the smallest tokens among equally frequent ones), or all tokens are hashed,
    seldom seen ones too, as `data.overflow` says. Memory is bounded by MERGED_TOKENS and `max_rows`, whatever the runs.

    Parameters
    ----------
    runs : what `DistinctTokens` handed over for this column on the training days.

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
