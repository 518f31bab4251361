"""HDF5 files: written whole or not at all, on full disks too, and read without file locks.

HDF5 ends the process with a segmentation fault where it can't write what it still holds when a file is closed. So it
writes into memory, and what it has written there goes to the disk by ordinary writes, whose failure is an ordinary
error. What is large goes as soon as it is complete, so memory does not grow with the file.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import atomic_write

_WORTH_MOVING = 1 << 16
"""Bytes; what is smaller stays in memory until the file is complete. HDF5 writes no more than this late."""

_PIECE = 1 << 18
"""Bytes copied at a time, which stay in a core's cache."""
_PAGE = mmap.ALLOCATIONGRANULARITY


class Draft:
    """An HDF5 file under way; comes from `create_hdf5`.

    Attributes
    ----------
    file : to make groups and datasets in.
    """

    def __init__(self, memory: int, file: h5py.File, target: int) -> None:
        self.file = file
        self._memory = memory
        self._target = target

    def add(self, name: str, values: NDArray[Any]) -> h5py.Dataset:
        """Write an array as a dataset in one piece."""
        dataset = self.file.create_dataset(name, data=values)
        if dataset.size:
            self.move(dataset.id.get_offset(), values.nbytes)
        return dataset

    def move(self, start: int, size: int) -> None:
        """Move `size` bytes from byte `start` of the file on, which HDF5 won't change any more, from memory to disk."""
        if size < _WORTH_MOVING:
            return
        self._copy(start, start + size)
        # The pages at both ends may hold something else.
        first, last = -(-start // _PAGE) * _PAGE, (start + size) // _PAGE * _PAGE
        with mmap.mmap(self._memory, last - first, offset=first) as moved:
            moved.madvise(mmap.MADV_REMOVE)

    def finish(self) -> None:
        """Move what is left in memory, when HDF5 has closed the file."""
        end = 0
        size = os.fstat(self._memory).st_size
        os.truncate(self._target, size)
        while end < size:
            try:
                start = os.lseek(self._memory, end, os.SEEK_DATA)
            except OSError:  # there is nothing more
                return
            end = os.lseek(self._memory, start, os.SEEK_HOLE)
            self._copy(start, end)

    def _copy(self, start: int, end: int) -> None:
        while start < end:
            piece = os.pread(self._memory, min(end - start, _PIECE), start)
            start += os.pwrite(self._target, piece, start)


@contextmanager
def create_hdf5(path: Path, *, durable: bool = True) -> Iterator[Draft]:
    """Write an HDF5 file that appears, complete, when the block ends well, and not otherwise (see `atomic_write`)."""
    with (
        atomic_write(path, durable=durable) as temporary,
        temporary.open("wb") as target,
        FileIO(os.memfd_create(path.name), "r+b") as memory,
    ):
        # No cache: chunks are written whole, and a cache would only copy them.
        with h5py.File(memory, "w", rdcc_nbytes=0) as file:
            draft = Draft(memory.fileno(), file, target.fileno())
            yield draft
        draft.finish()


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
