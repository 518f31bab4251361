"""Tokens to rows of the embedding tables, one map a column; id 0 is a missing or an unseen token."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.rows import NO_TOKEN

Tokens = NDArray[np.uint32]


class DistinctTokens:
    """Distinct tokens of one column, gathered block by block in memory bounded by `limit`.

    A column with more than `limit` distinct tokens will be hashed, so which ones they are is not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sorted: Tokens = np.empty(0, np.uint32)
        self._pending: list[Tokens] = []
        self._pending_size = 0
        self._overflow = False

    def add(self, tokens: NDArray[np.int64]) -> None:
        """Count in tokens, in any order and number; `NO_TOKEN` is skipped."""
        if self._overflow:
            return
        unique = np.unique(tokens[tokens != NO_TOKEN].astype(np.uint32))
        self._pending.append(unique)
        self._pending_size += len(unique)
        # Merging when the pending ones are as many as the merged keeps the total work at O(n log n).
        if self._pending_size > max(len(self._sorted), 1 << 16):
            self._merge()

    @property
    def tokens(self) -> Tokens | None:
        """Sorted distinct tokens, or None when there are more than the limit."""
        self._merge()
        return None if self._overflow else self._sorted

    def _merge(self) -> None:
        if self._pending:
            self._sorted = np.unique(np.concatenate([self._sorted, *self._pending]))
            self._pending, self._pending_size = [], 0
        if len(self._sorted) > self._limit:
            self._overflow = True
            self._sorted = np.empty(0, np.uint32)


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

    def encode(self, tokens: NDArray[np.int64]) -> NDArray[np.int32]:
        """Map tokens (n,) to ids (n,), 0 to rows - 1."""
        if len(self.tokens) == 0:
            return np.zeros(len(tokens), np.int32)
        # Looking up the distinct tokens in order is several times faster: neighbours share the cache lines of the map.
        distinct, back = np.unique(tokens, return_inverse=True)
        place = np.searchsorted(self.tokens, distinct.clip(min=0).astype(np.uint32)).clip(max=len(self.tokens) - 1)
        ids = np.where(self.tokens[place] == distinct, place + 1, 0).astype(np.int32)
        encoded: NDArray[np.int32] = ids[back]
        return encoded


@dataclass(frozen=True)
class HashedIds:
    """Tokens share the ids 1 to rows - 1 by a hash, because there are more of them than the cap allows.

    Parameters
    ----------
    rows : rows of the embedding table, id 0 included; at least 2.
    """

    rows: int

    def encode(self, tokens: NDArray[np.int64]) -> NDArray[np.int32]:
        """Map tokens (n,) to ids (n,), 0 to rows - 1; equal on every machine."""
        ids = mix(tokens.astype(np.uint32)) % np.uint32(self.rows - 1) + np.uint32(1)
        encoded: NDArray[np.int32] = np.where(tokens == NO_TOKEN, 0, ids).astype(np.int32)
        return encoded


def mix(x: Tokens) -> Tokens:
    """Scramble 32-bit numbers one to one: the finaliser of MurmurHash3 (Appleby, public domain)."""
    u32 = np.uint32
    x = (x ^ (x >> u32(16))) * u32(0x85EBCA6B)
    x = (x ^ (x >> u32(13))) * u32(0xC2B2AE35)
    return x ^ (x >> u32(16))


IdMap = ExactIds | HashedIds
