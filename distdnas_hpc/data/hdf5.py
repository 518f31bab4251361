"""HDF5 files: written whole or not at all, on full disks too, and read without file locks.

HDF5 ends the process with a segmentation fault where it can't write what it still holds when a file is closed. So it is
told that every write went well; the first one that did not is raised as an ordinary error as soon as HDF5 is out of it.
What is small, HDF5 may read again: that is kept in memory beside, for the disk may not have it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO, RawIOBase
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import atomic_write

_LARGE = 1 << 16
"""Bytes; what is written in pieces of so many, or more, are values, which HDF5 does not read again."""


class Draft:
    """An HDF5 file under way; comes from `create_hdf5`.

    Attributes
    ----------
    file : to make groups and datasets in.
    """

    def __init__(self, file: h5py.File, disk: "_Disk") -> None:
        self.file = file
        self._disk = disk

    def add(self, name: str, values: NDArray[Any]) -> h5py.Dataset:
        """Write an array as a dataset in one piece; raises as `check`."""
        dataset = self.file.create_dataset(name, data=values)
        self.check()
        return dataset

    def check(self) -> None:
        """Raise the OSError of the first write that failed, if one did."""
        if self._disk.fault is not None:
            raise self._disk.fault


class _Disk(RawIOBase):
    """A file as HDF5 uses it, whose writes never fail.

    Attributes
    ----------
    fault : of the first write that failed; nothing is written any more then.
    """

    def __init__(self, memory: FileIO, target: int) -> None:
        self.fault: OSError | None = None
        self._memory = memory
        self._target = target

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._memory.seek(offset, whence)

    def readinto(self, buffer: Any) -> int | None:
        return self._memory.readinto(buffer)

    def write(self, data: Any) -> int:
        start, size = self._memory.tell(), len(data)
        if size < _LARGE:
            self._memory.write(data)
        elif start + size > os.fstat(self._memory.fileno()).st_size:
            self._memory.truncate(start + size)
        done = 0
        try:
            while done < size and self.fault is None:
                done += os.pwrite(self._target, data[done:], start + done)
        except OSError as fault:
            self.fault = fault
        return size

    def truncate(self, size: int | None = None) -> int:
        size = self._memory.truncate(size)
        try:
            os.truncate(self._target, size)
        except OSError as fault:
            self.fault = self.fault or fault
        return size


@contextmanager
def create_hdf5(path: Path, *, durable: bool = True) -> Iterator[Draft]:
    """Write an HDF5 file that appears, complete, when the block ends well, and not otherwise (see `atomic_write`)."""
    with (
        atomic_write(path, durable=durable) as temporary,
        temporary.open("wb") as target,
        FileIO(os.memfd_create(path.name), "r+b") as memory,
        _Disk(memory, target.fileno()) as disk,
    ):
        # No cache: chunks are written whole, and a cache would only copy them.
        with h5py.File(disk, "w", rdcc_nbytes=0) as file:
            draft = Draft(file, disk)
            yield draft
        draft.check()


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading without file locks; a UserError names one that is missing or damaged."""
    # NFS and Lustre keep locks badly.
    try:
        file = h5py.File(path, "r", locking=False)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; prepare the data again.") from None
    except OSError as error:
        raise damaged(path, error) from None
    with file:
        yield file


def damaged(path: Path, error: Exception) -> UserError:
    """Return what to raise about a file that can't be read."""
    return UserError(f"{path} can't be read ({error}); prepare the data again.")
