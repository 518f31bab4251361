"""HDF5 files are what HDF5 would write, and a disk that is full at any moment is told and harms nothing."""

import os

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdnas_hpc.data import hdf5
from distdnas_hpc.data.hdf5 import create_hdf5, open_hdf5
from distdnas_hpc.errors import UserError


def array(size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 256, size, np.uint8)


@given(st.lists(st.integers(0, 300_000), max_size=5))
@settings(deadline=None, max_examples=30)
def test_arrays_come_back_and_the_file_is_as_hdf5_writes_it(tmp_path_factory, sizes):
    folder = tmp_path_factory.getbasetemp()
    plain_file = (folder / "b.h5").open("w+b", buffering=0)
    with create_hdf5(folder / "a.h5") as draft, plain_file, h5py.File(plain_file, "w") as plain:
        for i, size in enumerate(sizes):
            draft.add(f"some/{i}", array(size)).attrs["size"] = size
            plain.create_dataset(f"some/{i}", data=array(size)).attrs["size"] = size
    with open_hdf5(folder / "a.h5") as file:
        for i, size in enumerate(sizes):
            np.testing.assert_array_equal(file[f"some/{i}"][:], array(size))
            assert file[f"some/{i}"].attrs["size"] == size
    assert (folder / "a.h5").read_bytes() == (folder / "b.h5").read_bytes()


def test_what_is_large_is_not_kept_in_memory(tmp_path):
    with create_hdf5(tmp_path / "a.h5") as draft:
        for i in range(20):
            draft.add(f"{i}", array(1_000_000))
            held = 512 * os.fstat(draft._disk._memory.fileno()).st_blocks
            assert held < 500_000
    assert (tmp_path / "a.h5").stat().st_size > 20_000_000


def write(path) -> None:
    """A file of 470 kB with all that ours have: chunks, arrays large and small, attributes, groups."""
    with create_hdf5(path) as draft:
        chunks = draft.file.create_dataset("chunks", (0,), "u1", maxshape=(None,), chunks=(100_000,))
        for number in (1, 2):
            chunks.resize((number * 100_000,))
            chunks[-100_000:] = array(100_000)
            draft.check()
        for name, size in (("large", 200_000), ("small", 50_000), ("tiny", 1)):
            draft.add(f"arrays/{name}", array(size)).attrs["size"] = size


def test_a_disk_that_fills_up_at_any_moment_is_told(tmp_path, small_disk):
    folder, resize = small_disk
    path = folder / "a.h5"
    write(tmp_path / "whole.h5")
    needed = -(-(tmp_path / "whole.h5").stat().st_size // 4096)

    def work() -> None:  # in a process of its own, which HDF5 would end
        for pages in range(1, needed):
            resize(4 * pages)
            with pytest.raises(UserError, match=r"a\.h5 can't be written: no space left on device; make room there"):
                write(path)
            assert list(folder.iterdir()) == []
        resize(4 * needed)
        write(path)
        os._exit(0)

    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_a_failure_in_the_block_leaves_no_file(tmp_path):
    with pytest.raises(KeyboardInterrupt), create_hdf5(tmp_path / "a.h5") as draft:
        draft.add("large", array(hdf5._LARGE * 3))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"a\.h5 does not exist; prepare the data again"), open_hdf5(tmp_path / "a.h5"):
        pass
    (tmp_path / "a.h5").write_bytes(b"something else")
    with (
        pytest.raises(UserError, match=r"a\.h5 can't be read \(.*\); prepare the data again"),
        open_hdf5(tmp_path / "a.h5"),
    ):
        pass
