"""The order in which a day's rows are read: some chunks at a time, each time into one of two buffers."""

from collections.abc import Generator, Sequence
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.rows import Columns, Rows
from distdnas_hpc.data.shards import CHUNK_ROWS, Shard
from distdnas_hpc.data.translation import Translation, translate

BUFFER_CHUNKS = 64
"""Chunks among whose rows a shuffle picks: a million rows, 165 MB of Criteo; there are two buffers."""


def read_in_order(
    shards: Sequence[Shard], translation: Translation, seed: int | None, first_row: int
) -> Generator[tuple[Rows, NDArray[np.int64]], None, None]:
    """Yield the rows of a day from number `first_row` on, counted in their order, without reading what comes before.

    The order of a seed: chunks of 16,384 rows from all shards are shuffled, then the rows of 64 chunks at a time.

    Parameters
    ----------
    translation : of the day's codes.
    seed : None for file order.

    Yields
    ------
    rows : a buffer of up to 64 chunks, filled anew for the next but one.
    order : (n,) indices of the rows to take from it, one after the other.
    """
    chunks = [(shard, start) for shard in shards for start in range(0, shard.rows, CHUNK_ROWS)]
    at_a_time = 1
    if seed is not None:
        at_a_time = BUFFER_CHUNKS
        chunks = [chunks[i] for i in np.random.default_rng(seed).permutation(len(chunks))]
    if not chunks:
        return
    chunk = shards[0].allocate(CHUNK_ROWS)
    buffers = cycle([_allocate(at_a_time * CHUNK_ROWS, len(chunk.dense), len(chunk.sparse)) for _ in range(2)])
    row = 0
    for number, first in enumerate(range(0, len(chunks), at_a_time)):
        chosen = chunks[first : first + at_a_time]
        size = sum(min(CHUNK_ROWS, shard.rows - start) for shard, start in chosen)
        if row + size > first_row:
            rows = next(buffers)
            _fill(rows, chosen, chunk, translation)
            # Each buffer has a generator of its own, so that any of them can be the first.
            order = np.arange(size) if seed is None else np.random.default_rng([seed, number]).permutation(size)
            yield rows, order[max(first_row - row, 0) :]
        row += size


def _allocate(n: int, dense: int, sparse: int) -> Rows:
    return Rows(np.empty(n, np.uint8), np.empty((n, dense), np.int32), np.empty((n, sparse), np.int32))


def _fill(buffer: Rows, chunks: Sequence[tuple[Shard, int]], chunk: Columns, translation: Translation) -> None:
    """Read chunks, (shard, first row) each, behind each other, by way of the room for one."""
    filled = 0
    for shard, start in chunks:
        n = min(CHUNK_ROWS, shard.rows - start)
        columns = chunk if n == CHUNK_ROWS else shard.allocate(n)
        shard.read_into(columns, start)
        place = slice(filled, filled + n)
        buffer.label[place] = columns.label
        translate(columns.dense, columns.sparse, *translation, buffer.dense[place], buffer.sparse[place])
        filled = place.stop
