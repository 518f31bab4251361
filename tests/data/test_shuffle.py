"""The order of a day's rows: a permutation, by chunks and within buffers, that can be entered anywhere."""

from contextlib import ExitStack, closing
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdnas_hpc.data import shards as shards_module
from distdnas_hpc.data import shuffle as module
from distdnas_hpc.data.decode import Decoder
from distdnas_hpc.data.rows import Columns
from distdnas_hpc.data.shards import create_shard, open_shard
from distdnas_hpc.data.shuffle import in_file_order, pick_rows, shuffled
from distdnas_hpc.data.translation import Translation
from distdnas_hpc.errors import UserError

CHUNK, BUFFER = 16, 48
CODES = np.arange(1000, dtype=np.int32)
DECODER = Decoder(Translation(np.concatenate([3 * CODES, CODES + 7]), np.array([0, 1000])), np.zeros(1), np.ones(1))


@pytest.fixture(autouse=True)
def small_buffer():
    """Chunks of 16 rows, on disk too, three to a buffer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards_module, "CHUNK_ROWS", CHUNK)
        patch.setattr(module, "CHUNK_ROWS", CHUNK)
        patch.setattr(module, "BUFFER_CHUNKS", BUFFER // CHUNK)
        yield


def write_shards(folder: Path, sizes: list[int]) -> list[Path]:
    """Write shards; every column holds the number of the row in the day."""
    paths, first = [], 0
    for i, size in enumerate(sizes):
        number = np.arange(first, first + size)
        paths.append(folder / f"shard_{i}.h5")
        with create_shard(paths[-1], 1, 2) as shard:
            shard.append(Columns(number.astype("u1"), number[None].astype("i4"), np.stack([number] * 2).astype("i4")))
            shard.finish((), (), ())
        first += size
    return paths


def read(paths: list[Path], seed: int | None, first_row: int = 0) -> list[int]:
    """Numbers of the rows in their order."""
    found: list[int] = []
    with ExitStack() as stack:
        shards = [stack.enter_context(open_shard(path)) for path in paths]
        stretches = (
            in_file_order(shards, DECODER, first_row) if seed is None else shuffled(shards, DECODER, seed, first_row)
        )
        with closing(stretches):
            for stretch in stretches:
                for start in range(0, len(stretch), 10):
                    n = min(10, len(stretch) - start)
                    label, dense, sparse = np.empty(n, "f4"), np.empty((n, 1), "f4"), np.empty((n, 2), "i8")
                    stretch.write(start, label, dense, sparse)
                    number = np.expm1(dense[:, 0]).round().astype(int)
                    assert (label == number % 256).all()
                    assert (sparse == np.stack([3 * number, number + 7], axis=1)).all()
                    found += number.tolist()
    return found


sizes = st.lists(st.integers(1, 100), min_size=1, max_size=4)


@given(sizes, st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=25)
def test_every_row_comes_once_whatever_the_seed_and_in_file_order_without(tmp_path_factory, sizes, seed):
    paths = write_shards(tmp_path_factory.mktemp("any"), sizes)
    assert sorted(read(paths, seed)) == read(paths, None) == list(range(sum(sizes)))


@pytest.mark.parametrize("sizes", [[], [0], [1], [16], [17, 15], [60, 60, 20], [1, 2, 3], [100]])
@pytest.mark.parametrize("seed", [None, 5])
def test_the_order_can_be_entered_at_every_row(tmp_path, sizes, seed):
    paths = write_shards(tmp_path, sizes)
    whole = read(paths, seed)
    for first in range(sum(sizes) + 1):
        assert read(paths, seed, first) == whole[first:]


def test_the_seed_decides_the_order(tmp_path):
    paths = write_shards(tmp_path, [130, 130])
    assert read(paths, 5) == read(paths, 5)
    assert read(paths, 5) != read(paths, 6)


def test_a_buffer_mixes_rows_of_chunks_from_anywhere_in_the_day(tmp_path):
    paths = write_shards(tmp_path, [160] * 6)  # 60 whole chunks
    buffers = np.array(read(paths, 5)).reshape(-1, BUFFER)
    chunks = [sorted(set(rows // CHUNK)) for rows in buffers]
    assert all(len(numbers) == 3 for numbers in chunks)
    assert sorted(np.ravel(chunks)) == list(range(60))
    assert sum(max(numbers) - min(numbers) > 10 for numbers in chunks) > 15, "chunks of a buffer lie far apart"
    for rows in buffers:
        assert (np.diff(rows) == 1).mean() < 0.2, "rows are mixed within the buffer"


def test_buffers_are_mixed_differently(tmp_path):
    places = [np.argsort(rows).tolist() for rows in np.array(read(write_shards(tmp_path, [96]), 5)).reshape(-1, BUFFER)]
    assert places[0] != places[1]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 200), st.integers(0, 99))
@settings(deadline=None)
def test_rows_are_picked_in_any_order(n, dense, sparse, picked, seed):
    rng = np.random.default_rng(seed)
    buffer = rng.random(n, "f4"), rng.random((n, dense), "f4"), rng.integers(0, 2**31, (n, sparse), np.int32)
    order = rng.integers(0, n, picked)
    out = np.empty(picked, "f4"), np.empty((picked, dense), "f4"), np.empty((picked, sparse), "i8")
    pick_rows(*buffer, np.concatenate([order, [0]]), *out)  # the order may go on beyond what there is room for
    for found, rows in zip(out, buffer, strict=True):
        assert (found == rows[order]).all()


def break_chunk(path: Path, first_row: int) -> None:
    """Overwrite the stored ids of the chunk that starts with a row of the shard."""
    with h5py.File(path) as file:
        chunk = file["sparse"].id.get_chunk_info_by_coord((0, first_row))
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * chunk.size)


@pytest.mark.parametrize("seed", [None, 5])
def test_nothing_is_read_that_came_before(tmp_path, seed):
    paths = write_shards(tmp_path, [64, 64])
    order = read(paths, seed)
    done = BUFFER if seed is not None else CHUNK  # the first buffer
    damaged = order[0] // CHUNK * CHUNK
    break_chunk(paths[damaged // 64], damaged % 64)
    assert read(paths, seed, done) == order[done:]
    with pytest.raises(UserError, match=rf"{paths[damaged // 64]} can't be read .*; prepare the data again"):
        read(paths, seed, done - 1)
