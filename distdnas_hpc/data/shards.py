"""Rows in HDF5: chunked, Blosc2-LZ4 with bitshuffle, written as a stream, visible only when complete (DESIGN §7)."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import DTypeLike

from distdnas_hpc.data.rows import Rows
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import atomic_write

CHUNK_ROWS = 16_384
"""Rows of an HDF5 chunk, the unit of reading and unpacking."""

_STEP_ROWS = 64 * CHUNK_ROWS
"""Rows by which a shard grows while it is written."""

_COMPRESSION = hdf5plugin.Blosc2(cname="lz4", clevel=5, filters=hdf5plugin.Blosc2.BITSHUFFLE)
_CACHE_BYTES = 8 << 20
"""Cache of a dataset while writing: holds its unfinished chunk (3.4 MB of Criteo tokens), so each is packed once."""


@dataclass(frozen=True)
class ShardInfo:
    """A finished shard: its path below the prepared folder, its rows, the SHA-256 of the file in hexadecimal."""

    name: str
    rows: int
    sha256: str


class ShardWriter:
    """Appends rows to a new file; comes from `create_shard`."""

    def __init__(self, file: h5py.File, dense: int, sparse: int, sparse_dtype: DTypeLike) -> None:
        self.rows = 0
        self._room = 0
        columns = (("label", (), "u1"), ("dense", (dense,), "i4"), ("sparse", (sparse,), sparse_dtype))
        self._columns = [
            file.create_dataset(
                name,
                shape=(0, *width),
                maxshape=(None, *width),
                chunks=(CHUNK_ROWS, *width),
                dtype=dtype,
                compression=_COMPRESSION,
            )
            for name, width, dtype in columns
        ]

    def append(self, rows: Rows) -> None:
        """Write rows behind those that are there."""
        end = self.rows + len(rows.label)
        if end > self._room:
            # Each resize makes HDF5 pack the unfinished chunk, and unpack it again to go on with it: so they are few.
            self._resize(-(-end // _STEP_ROWS) * _STEP_ROWS)
        for column, values in zip(self._columns, rows, strict=True):
            column[self.rows : end] = values
        self.rows = end

    def finish(self) -> None:
        """Give back the room that is left; nothing is appended any more."""
        self._resize(self.rows)

    def _resize(self, rows: int) -> None:
        for column in self._columns:
            column.resize(rows, axis=0)
        self._room = rows


@contextmanager
def create_shard(path: Path, dense: int, sparse: int, sparse_dtype: DTypeLike = "i4") -> Iterator[ShardWriter]:
    """Write a shard as a stream of rows; `path` appears, complete, when the block ends well, and not otherwise.

    Parameters
    ----------
    dense, sparse : number of columns.
    sparse_dtype : 'i4' for ids, 'i8' for tokens.
    """
    with create_hdf5(path) as file:
        writer = ShardWriter(file, dense, sparse, sparse_dtype)
        yield writer
        writer.finish()


class Shard:
    """A file of rows, open for reading; comes from `open_shard`."""

    def __init__(self, file: h5py.File, path: Path) -> None:
        self._columns = [file[name] for name in Rows._fields]
        self._path = path
        self.rows = len(self._columns[0])

    def read(self, start: int, stop: int) -> Rows:
        """Read rows `start` to `stop` (excluded; at most the last); a UserError if they are damaged."""
        rows = self.allocate(len(range(self.rows)[start:stop]))
        self.read_into(rows, start)
        return rows

    def allocate(self, n: int) -> Rows:
        """Make room for `n` rows of this shard's columns."""
        return Rows(*(np.empty((n, *column.shape[1:]), column.dtype) for column in self._columns))

    def read_into(self, rows: Rows, start: int) -> None:
        """Fill `rows`, contiguous arrays, with as many rows from `start`; a UserError if they are damaged.

        Other threads run meanwhile: HDF5 unpacks without the GIL.
        """
        n = len(rows.label)
        if n == 0:
            return
        try:
            for column, values in zip(self._columns, rows, strict=True):
                column.read_direct(values, np.s_[start : start + n])
        except OSError as error:
            raise _damaged(self._path, error) from None


@contextmanager
def open_shard(path: Path) -> Iterator[Shard]:
    """Open a file that `create_shard` wrote; a UserError names one that is missing or damaged."""
    with open_hdf5(path) as file:
        try:
            shard = Shard(file, path)
        except KeyError as error:
            raise _damaged(path, error) from None
        yield shard


@contextmanager
def create_hdf5(path: Path) -> Iterator[h5py.File]:
    """Write an HDF5 file that appears, complete, when the block ends well, and not otherwise."""
    # No file locks: NFS and Lustre keep them badly, and nobody else knows the temporary name.
    with atomic_write(path) as temporary, h5py.File(temporary, "w", locking=False, rdcc_nbytes=_CACHE_BYTES) as file:
        yield file


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading without file locks; a UserError names one that is missing or damaged."""
    try:
        file = h5py.File(path, "r", locking=False)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; prepare the data again.") from None
    except OSError as error:
        raise _damaged(path, error) from None
    with file:
        yield file


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read a megabyte at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} can't be read ({error}); prepare the data again.")
