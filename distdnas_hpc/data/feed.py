"""Shards to batches: one pass over a day, in file order or shuffled, in memory that does not depend on its length."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.data.rows import MISSING, Rows
from distdnas_hpc.data.shards import CHUNK_ROWS, Shard, ShardInfo, open_shard
from distdnas_hpc.data.statistics import transform
from distdnas_hpc.errors import UserError

BUFFER_CHUNKS = 64
"""Chunks among whose rows a shuffle picks: a million rows, 165 MB of Criteo (some three times that at the peak)."""


class Batch(NamedTuple):
    """Rows as a model takes them.

    Attributes
    ----------
    label : (B,) float32, 1 = click.
    dense : (B, dense) float32, f(x) standardised by the training days' statistics; 0, the mean, where missing.
    sparse : (B, sparse) int64 ids, 0 to the column's table size - 1.
    """

    label: Tensor
    dense: Tensor
    sparse: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Copy to a device, without waiting for the copy where the device allows it."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


class Feed:
    """Batches of one prepared day; iterating again gives the same batches.

    Parameters
    ----------
    batch_size : rows of a batch, B; the last one may be shorter.
    shuffle_seed : None for file order. Else every row comes once, in an order decided by the seed: chunks of 16,384
        rows are shuffled over the day, then rows among 64 chunks at a time, so a day of up to a million rows is
        permuted fully.

    Raises
    ------
    UserError : the day is not in the manifest; while iterating, a shard is missing or not the one that was prepared.
    """

    def __init__(self, manifest: Manifest, day: int, batch_size: int, *, shuffle_seed: int | None = None) -> None:
        if day not in manifest.days:
            known = ", ".join(map(str, manifest.days))
            raise UserError(f"Day {day} is not prepared in {manifest.folder} (days there: {known}); prepare it first.")
        self.rows = manifest.days[day].rows
        self._folder = manifest.folder
        self._shards = manifest.days[day].shards
        self._batch_size = batch_size
        self._seed = shuffle_seed
        self._mean = np.array(manifest.dense_mean, np.float32)
        self._std = np.array(manifest.dense_std, np.float32)

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-self.rows // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rest: Rows | None = None
        for rows in self._buffers():
            if rest is not None:
                rows = _concatenate([rest, rows])
            whole = len(rows.label) // self._batch_size * self._batch_size
            for start in range(0, whole, self._batch_size):
                yield self._batch(_take(rows, slice(start, start + self._batch_size)))
            rest = _take(rows, slice(whole, None))
        if rest is not None and len(rest.label):
            yield self._batch(rest)

    def _buffers(self) -> Iterator[Rows]:
        """Yield all rows of the day, some chunks at a time, in the order of the batches."""
        with ExitStack() as stack:
            shards = [stack.enter_context(self._open(info)) for info in self._shards]
            chunks = [(shard, start) for shard in shards for start in range(0, shard.rows, CHUNK_ROWS)]
            if self._seed is None:
                for shard, start in chunks:
                    yield shard.read(start, start + CHUNK_ROWS)
                return
            rng = np.random.default_rng(self._seed)
            order = rng.permutation(len(chunks))
            for first in range(0, len(chunks), BUFFER_CHUNKS):
                chosen = (chunks[i] for i in order[first : first + BUFFER_CHUNKS])
                rows = _concatenate([shard.read(start, start + CHUNK_ROWS) for shard, start in chosen])
                rows = _take(rows, rng.permutation(len(rows.label)))  # by this name, so that the first copy is freed
                yield rows

    @contextmanager
    def _open(self, info: ShardInfo) -> Iterator[Shard]:
        path = self._folder / info.name
        with open_shard(path) as shard:
            if shard.rows != info.rows:
                raise UserError(
                    f"{path} has {shard.rows} rows but the manifest says {info.rows}; prepare the data again."
                )
            yield shard

    def _batch(self, rows: Rows) -> Batch:
        dense = (transform(rows.dense.astype(np.float32)) - self._mean) / self._std
        dense[rows.dense == MISSING] = 0
        return Batch(
            label=torch.from_numpy(rows.label.astype(np.float32)),
            dense=torch.from_numpy(dense),
            sparse=torch.from_numpy(rows.sparse.astype(np.int64)),
        )


def _concatenate(parts: list[Rows]) -> Rows:
    return Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _take(rows: Rows, which: slice | NDArray[np.int64]) -> Rows:
    return Rows(rows.label[which], rows.dense[which], rows.sparse[which])
