"""Chunks are packed and unpacked as HDF5 does it, or left to it."""

import h5py
import hdf5plugin
import numpy as np
import pytest

from distdnas_hpc.data import bitshuffle
from distdnas_hpc.data.bitshuffle import read_chunk, write_chunk

LZ4 = hdf5plugin.Bitshuffle(cname="lz4", nelems=64)


@pytest.fixture
def store(tmp_path):
    """Write columns (k, n) or a column (n,) in chunks of so many rows; return the dataset."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        yield lambda values, rows, name="a", **how: file.create_dataset(
            name, data=values, chunks=(*values.shape[:-1], rows), **({"compression": LZ4} | how)
        )


@pytest.mark.parametrize("kind", ["u1", "i4", "i8"])
@pytest.mark.parametrize("columns", [(), (1,), (3,)])
def test_whole_chunks_come_back(store, kind, columns):
    values = np.random.default_rng(1).integers(0, 100, (*columns, 1024)).astype(kind)
    dataset = store(values, 256)
    chunk = np.empty((*columns, 256), kind)
    for start in range(0, 1024, 256):
        assert read_chunk(dataset, start, chunk)
        np.testing.assert_array_equal(chunk, values[..., start : start + 256])


@pytest.mark.parametrize("kind", ["u1", "i4", "i8"])
@pytest.mark.parametrize("columns", [(), (3,)])
def test_chunks_are_written_as_hdf5_writes_them(store, kind, columns):
    values = np.random.default_rng(1).integers(0, 100, (*columns, 512)).astype(kind)
    mine, theirs = store(np.zeros_like(values), 256), store(values, 256, name="theirs")
    for start in (0, 256):
        place = (*[0] * len(columns), start)
        assert write_chunk(mine, start, np.ascontiguousarray(values[..., start : start + 256]))
        assert mine.id.read_direct_chunk(place) == theirs.id.read_direct_chunk(place)
    np.testing.assert_array_equal(mine[:], values)


@pytest.mark.parametrize(
    ("start", "rows", "kind", "how"),
    [
        (128, 256, "i4", {}),  # parts of two chunks
        (0, 128, "i4", {}),  # part of one
        (256, 256, "i4", {}),  # the last one, which is not full
        (0, 256, "i8", {}),  # another type
        (0, 256, "i4", {"compression": None}),
        (0, 256, "i4", {"compression": "gzip"}),
        (0, 256, "i4", {"shuffle": True}),  # two filters
        (0, 256, "i4", {"compression": hdf5plugin.Bitshuffle(cname="zstd")}),
        (0, 256, "i4", {"compression": hdf5plugin.Bitshuffle(cname="none")}),
    ],
)
def test_everything_else_is_left_to_hdf5(store, start, rows, kind, how):
    dataset = store(np.arange(2 * 300, dtype="i4").reshape(2, 300), 256, **how)
    chunk = np.full((2, rows), 7, kind)
    assert not read_chunk(dataset, start, chunk)
    assert not write_chunk(dataset, start, chunk)
    assert (chunk == 7).all()
    np.testing.assert_array_equal(dataset[:], np.arange(2 * 300).reshape(2, 300))


def test_so_is_a_chunk_that_was_stored_unpacked(store):
    dataset = store(np.zeros((2, 256), "i4"), 256)
    dataset.id.write_direct_chunk((0, 0), np.arange(512, dtype="i4").tobytes(), filter_mask=1)
    assert not read_chunk(dataset, 0, np.empty((2, 256), "i4"))


@pytest.mark.parametrize("file", ["libh5bshuf.so", "something_else"])
def test_so_is_everything_where_the_library_can_not_be_had(store, monkeypatch, tmp_path, file):
    (tmp_path / file).write_text("no library")
    monkeypatch.setattr(hdf5plugin, "PLUGIN_PATH", str(tmp_path))
    monkeypatch.setattr(bitshuffle, "_library", bitshuffle._library.__wrapped__)  # not the one that is kept
    dataset, chunk = store(np.zeros((2, 256), "i4"), 256), np.empty((2, 256), "i4")
    assert not read_chunk(dataset, 0, chunk)
    assert not write_chunk(dataset, 0, chunk)


def test_a_damaged_chunk_is_an_error(store):
    dataset = store(np.random.default_rng(1).integers(0, 2**31, (2, 256), "i4"), 256)
    _, chunk = dataset.id.read_direct_chunk((0, 0))
    spoilt = bytearray(chunk)
    spoilt[16:24] = b"\xff" * 8
    dataset.id.write_direct_chunk((0, 0), bytes(spoilt))
    with pytest.raises(OSError, match="the chunk of /a at row 0 can't be unpacked"):
        read_chunk(dataset, 0, np.empty((2, 256), "i4"))
