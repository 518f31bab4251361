"""How often each token of a column occurs, where ids depend on that: in sorted runs, merged in bounded memory.

A day leaves a run for each list of its dictionary (`dictionary`), as a rule one a column; merging the runs of many days
gives each token once, in order, with its count over all of them, a stretch at a time.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data import dictionary
from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.dictionary import Codes, Tokens
from distdnas_hpc.data.hdf5 import Draft
from distdnas_hpc.data.shards import CHUNK_ROWS, Shard

MERGED_TOKENS = 1 << 22
"""Tokens of all runs of a column held while merging; some 40 bytes each at the peak."""


class Run(NamedTuple):
    """Tokens (n,), sorted and distinct, and how often each was seen, (n,); arrays, or datasets of an HDF5 file."""

    tokens: Tokens
    counts: NDArray[np.int64]


def token_lists(shards: Sequence[Shard], name: str) -> Iterator[Tokens]:
    """Yield the lists of a column's dictionary, in the order of their codes: RUN_TOKENS tokens each, the last fewer."""
    size = dictionary.RUN_TOKENS
    rest = np.empty(0, np.int64)
    for shard in shards:
        rest = np.concatenate([rest, shard.tokens(name)])
        while len(rest) > size:
            yield rest[:size]
            rest = rest[size:]
    yield rest


def write_runs(draft: Draft, shards: Sequence[Shard], names: Sequence[str]) -> None:
    """Count a day's codes in a pass over its shards; write the runs of its columns as NAME/0, NAME/1, …."""
    columns = [_Counter(token_lists(shards, name), draft, name) for name in names]
    for shard in shards:
        for start in range(0, shard.rows, CHUNK_ROWS):
            for column, codes in zip(columns, shard.read(start, start + CHUNK_ROWS).sparse, strict=True):
                column.add(codes)
    for column in columns:
        column.finish()


class _Counter:
    """Counts the codes of a column, list after list: once a list is begun, no code of the one before comes again."""

    def __init__(self, lists: Iterator[Tokens], draft: Draft, name: str) -> None:
        self._lists = lists
        self._draft = draft
        self._name = name
        self._written = 0
        self._before = 0
        self._begin()

    def add(self, codes: Codes) -> None:
        done = 0
        while (done := _count(codes, done, self._before, self._counts)) < len(codes):
            self.finish()
            self._before += len(self._tokens)
            self._begin()

    def finish(self) -> None:
        """Write the list that is counted."""
        order = np.argsort(self._tokens)
        self._draft.add(f"{self._name}/{self._written}/tokens", self._tokens[order])
        self._draft.add(f"{self._name}/{self._written}/counts", self._counts[order])
        self._written += 1

    def _begin(self) -> None:
        self._tokens = next(self._lists)
        self._counts = np.zeros(len(self._tokens), np.int64)


@compiled
def _count(codes: Codes, start: int, before: int, counts: NDArray[np.int64]) -> int:
    """Count codes[start:], those from `before` + 1 on; return the place of the first one that is beyond the list."""
    for i in range(start, len(codes)):
        place = codes[i] - before
        if place > len(counts):
            return i
        if place > 0:
            counts[place - 1] += 1
    return len(codes)


def read_runs(file: h5py.File, name: str) -> list[Run]:
    """Return a column's runs from a file of `write_runs`, as datasets."""
    return [Run(group["tokens"], group["counts"]) for group in file[name].values()]


def merge_runs(runs: Sequence[Run]) -> Iterator[Run]:
    """Yield all tokens of some runs, each once with the sum of its counts, in order and some at a time."""
    step = max(MERGED_TOKENS // max(len(runs), 1), 1)
    places = [0] * len(runs)
    while True:
        pieces = [
            Run(run.tokens[at : at + step], run.counts[at : at + step]) for run, at in zip(runs, places, strict=True)
        ]
        # Beyond the smallest last token, a run that goes on may hold tokens that come before those of another.
        going_on = [
            piece.tokens[-1]
            for piece, run, at in zip(pieces, runs, places, strict=True)
            if at + len(piece.tokens) < len(run.tokens)
        ]
        if going_on:
            last = min(going_on)
            ends = [int(np.searchsorted(piece.tokens, last, side="right")) for piece in pieces]
            pieces = [Run(piece.tokens[:end], piece.counts[:end]) for piece, end in zip(pieces, ends, strict=True)]
        yield _sum_counts(pieces)
        if not going_on:
            return
        places = [at + end for at, end in zip(places, ends, strict=True)]


def _sum_counts(pieces: Sequence[Run]) -> Run:
    tokens = np.concatenate([np.empty(0, np.int64), *(piece.tokens for piece in pieces)])
    counts = np.concatenate([np.empty(0, np.int64), *(piece.counts for piece in pieces)])
    if len(tokens) == 0:
        return Run(tokens, counts)
    order = np.argsort(tokens, kind="stable")  # which finds and merges the sorted pieces
    tokens = tokens[order]
    first = np.flatnonzero(is_first(tokens))
    return Run(tokens[first], np.add.reduceat(counts[order], first))


def is_first(tokens: Tokens) -> NDArray[np.bool_]:
    """Tell of each of some sorted tokens whether it differs from the one before it."""
    return np.concatenate([np.ones(min(len(tokens), 1), bool), tokens[1:] != tokens[:-1]])
