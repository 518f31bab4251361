"""Which tokens a column has, and how often, in memory that has a bound: what does not fit goes to disk in sorted runs.

A day leaves a few runs of each column; merging the runs of many days gives each token once, in order, with its count
over all of them, a stretch at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.rows import NO_TOKEN
from distdnas_hpc.data.token_table import Tokens, copy_into, count_in, new_table, room

RUN_TOKENS = 5_000_000
"""Different tokens of a column held in memory at most: 8,388,608 slots of 16 bytes with counts (8 without)."""

MERGED_TOKENS = 1 << 22
"""Tokens of all runs of a column held while merging; some 40 bytes each at the peak."""


class Run(NamedTuple):
    """Tokens (n,), sorted and distinct, and how often each was seen, (n,); arrays, or datasets of an HDF5 file."""

    tokens: Tokens
    counts: NDArray[np.int64]


class DistinctTokens:
    """Different tokens of one column, gathered block by block.

    Parameters
    ----------
    spill : takes each full run.
    counted : keep how often each token is seen; otherwise every count is 1.
    limit : number of different tokens above which nobody will ask which they are, or None.
    """

    def __init__(self, spill: Callable[[Run], None], *, counted: bool, limit: int | None) -> None:
        self._spill = spill
        self._columns = 2 if counted else 1
        self._limit = limit
        self._table = new_table(0, self._columns)
        self._size = 0
        self.overflowed = False

    def add(self, tokens: Tokens) -> None:
        """Count in tokens, in any order and number; `NO_TOKEN` is skipped."""
        done = 0
        while not self.overflowed:
            capacity = min(room(len(self._table)), RUN_TOKENS, RUN_TOKENS if self._limit is None else self._limit)
            done, self._size = count_in(tokens, done, self._table, self._size, capacity)
            if done == len(tokens):
                return
            self._make_room()

    def finish(self) -> None:
        """Hand over the last run, which may be empty; nothing when the tokens are more than the limit."""
        if not self.overflowed:
            self._spill(self._run())

    def _make_room(self) -> None:
        if self._size == self._limit:
            self.overflowed = True
            self._table = new_table(0, self._columns)
        elif self._size == RUN_TOKENS:
            self._spill(self._run())
            self._table[:, 0] = NO_TOKEN
            self._table[:, 1:] = 0
            self._size = 0
        else:
            table = new_table(2 * self._size, self._columns)
            copy_into(self._table, table)
            self._table = table

    def _run(self) -> Run:
        held = self._table[self._table[:, 0] != NO_TOKEN]
        if self._columns == 1:
            return Run(np.sort(held[:, 0]), np.ones(len(held), np.int64))
        order = np.argsort(held[:, 0])
        return Run(held[order, 0], held[order, 1])


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
    first = np.flatnonzero(np.concatenate([[True], tokens[1:] != tokens[:-1]]))
    return Run(tokens[first], np.add.reduceat(counts[order], first))
