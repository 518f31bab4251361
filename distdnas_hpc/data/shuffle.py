"""The order in which a day's rows come: that of the files, or shuffled within buffers of many chunks."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.decode import Decoder
from distdnas_hpc.data.prefetch import prefetch
from distdnas_hpc.data.rows import Columns
from distdnas_hpc.data.shards import CHUNK_ROWS, Shard

BUFFER_CHUNKS = 64
"""Chunks among whose rows a shuffle picks: a million rows, 168 MB of Criteo; there are two buffers."""

_UNPACKED = 3
"""Chunks that are unpacked at a time, ahead of what becomes of them: 2.6 MB each of Criteo."""

_BLOCK = 64
"""Rows picked at a time: few enough to stay in the first cache between the two times that they are read."""

_LINE = 16
"""Values of 4 bytes in a cache line."""


class Stretch(Protocol):
    """Some rows of a day in their order, there until the next stretch is asked for."""

    def __len__(self) -> int: ...

    def write(
        self, start: int, label: NDArray[np.float32], dense: NDArray[np.float32], sparse: NDArray[np.int64]
    ) -> None:
        """Fill the arrays, (n,), (n, dense), (n, sparse), with n rows from number `start` on, as `Decoder.decode`."""


class Chunk(NamedTuple):
    """Where a chunk of rows is stored."""

    shard: Shard
    start: int
    rows: int


def in_file_order(shards: Sequence[Shard], decoder: Decoder, first_row: int) -> Generator[Stretch, None, None]:
    """Yield the rows of a day from number `first_row` on as they lie in the files, without reading what comes before.

    A thread unpacks ahead.
    """
    chunks = _chunks(shards)
    number, skipped = _enter([chunk.rows for chunk in chunks], first_row)
    with closing(prefetch(_unpack(chunks[number:]), _UNPACKED)) as unpacked:
        for columns in unpacked:
            yield _Stored(columns, skipped, decoder)
            skipped = 0


def shuffled(shards: Sequence[Shard], decoder: Decoder, seed: int, first_row: int) -> Generator[Stretch, None, None]:
    """Yield the rows of a day from number `first_row` on of a shuffle, without reading what came before its buffer.

    Chunks of 16,384 rows from all shards are shuffled, then the rows of 64 chunks at a time. A thread unpacks ahead.
    There are two buffers, each filled anew for the next but one.
    """
    chunks = _chunks(shards)
    chunks = [chunks[i] for i in np.random.default_rng(seed).permutation(len(chunks))]
    groups = [chunks[i : i + BUFFER_CHUNKS] for i in range(0, len(chunks), BUFFER_CHUNKS)]
    sizes = [sum(chunk.rows for chunk in group) for group in groups]
    first, skipped = _enter(sizes, first_row)
    buffers = cycle([_Buffer.allocate(shards, max(sizes, default=0)) for _ in range(2)])
    with closing(prefetch(_unpack(chunk for group in groups[first:] for chunk in group), _UNPACKED)) as unpacked:
        for number in range(first, len(groups)):
            buffer, filled = next(buffers), 0
            for _ in groups[number]:
                columns = next(unpacked)
                place = slice(filled, filled + len(columns.label))
                decoder.decode(columns, 0, *buffer.part(place))
                filled = place.stop
            # Each buffer has a generator of its own, so that any of them can be the first.
            order = np.random.default_rng([seed, number]).permutation(filled)
            yield _Shuffled(buffer, order[skipped:])
            skipped = 0


def _chunks(shards: Iterable[Shard]) -> list[Chunk]:
    return [
        Chunk(shard, start, min(CHUNK_ROWS, shard.rows - start))
        for shard in shards
        for start in range(0, shard.rows, CHUNK_ROWS)
    ]


def _enter(sizes: Sequence[int], first_row: int) -> tuple[int, int]:
    """Return which stretch has a row, and how many rows of that stretch come before it."""
    ends = np.cumsum(sizes)
    number = int(np.searchsorted(ends, first_row, side="right"))
    return number, first_row - int(ends[number - 1]) if number else first_row


def _unpack(chunks: Iterable[Chunk]) -> Generator[Columns, None, None]:
    """Read chunks into as many arrays in turn as may exist at a time."""
    room: list[Columns] = []
    for number, (shard, start, rows) in enumerate(chunks):
        if number < _UNPACKED:
            room.append(shard.allocate(CHUNK_ROWS))
        columns = room[number % _UNPACKED] if rows == CHUNK_ROWS else shard.allocate(rows)
        shard.read_into(columns, start)
        yield columns


@dataclass(frozen=True)
class _Stored:
    """Rows that are decoded when they are written."""

    columns: Columns
    skipped: int
    decoder: Decoder

    def __len__(self) -> int:
        return len(self.columns.label) - self.skipped

    def write(self, start: int, *batch: NDArray[Any]) -> None:
        self.decoder.decode(self.columns, self.skipped + start, *batch)


class _Buffer(NamedTuple):
    """Decoded rows one after the other: (n,) float32, (n, dense) float32, (n, sparse) int32, half of a batch's ids."""

    label: NDArray[np.float32]
    dense: NDArray[np.float32]
    sparse: NDArray[np.int32]

    def part(self, place: slice) -> "_Buffer":
        return _Buffer(self.label[place], self.dense[place], self.sparse[place])

    @classmethod
    def allocate(cls, shards: Sequence[Shard], n: int) -> "_Buffer":
        _, dense, sparse = (len(column) for column in shards[0].allocate(0)) if shards else (0, 0, 0)
        return cls(np.empty(n, np.float32), np.empty((n, dense), np.float32), np.empty((n, sparse), np.int32))


@dataclass(frozen=True)
class _Shuffled:
    """Rows that are picked from a buffer when they are written."""

    buffer: _Buffer
    order: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.order)

    def write(self, start: int, *batch: NDArray[Any]) -> None:
        pick_rows(*self.buffer, self.order[start:], *batch)


@compiled
def pick_rows(
    label: NDArray[np.float32],
    dense: NDArray[np.float32],
    sparse: NDArray[np.int32],
    order: NDArray[np.int64],
    label_out: NDArray[np.float32],
    dense_out: NDArray[np.float32],
    sparse_out: NDArray[np.int64],
) -> None:
    """Copy the first B rows of `order` from the first three arrays, (n, …), into the last three, (B, …); contiguous."""
    columns, ids = dense.shape[1], sparse.shape[1]
    touched = np.empty(_BLOCK, np.float32)
    for first in range(0, len(label_out), _BLOCK):
        rows = order[first : min(first + _BLOCK, len(label_out))]
        # The rows lie far apart in memory. Reading something of each of their cache lines first lets the processor wait
        # for many lines at a time, 1.7 times as fast in all; it is kept, for the compiler drops what nobody uses.
        for i, row in enumerate(rows):
            label_out[first + i] = label[row]
            touched[i] = dense[row, -1] + sparse[row, -1]
            for j in range(0, columns, _LINE):
                touched[i] += dense[row, j]
            for j in range(0, ids, _LINE):
                touched[i] += sparse[row, j]
        for i, row in enumerate(rows):
            for j in range(ids):
                sparse_out[first + i, j] = sparse[row, j]
        for i, row in enumerate(rows):
            for j in range(columns):
                dense_out[first + i, j] = dense[row, j]
