"""Whole chunks of HDF5, packed and unpacked by the library that HDF5's own filter is in, without its copies.

HDF5 packs and unpacks in memory of its own and copies from and to there, which takes half as long as the work itself.
"""

from ctypes import CDLL, c_int64, c_size_t, c_void_p
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

_HEADER = 12
"""A packed chunk begins with its length when unpacked, in 8 bytes, and that of its blocks, in 4, highest byte first."""

_BLOCK, _PACKER = 3, 4
"""Places among the filter's parameters."""
_LZ4 = 2


def read_chunk(dataset: h5py.Dataset, start: int, values: NDArray[Any]) -> bool:
    """Fill a contiguous array with the chunk whose place on the last axis, of rows, is `start`.

    Returns
    -------
    False, and nothing is filled, where that is no whole chunk packed with bitshuffle and LZ4, or the library is not to
    be had. HDF5 itself reads these, and tells what is wrong with them.

    Raises
    ------
    OSError : the chunk is damaged.
    """
    library = _library()
    if library is None or not _parameters(dataset, start, values):
        return False
    left_out, chunk = dataset.id.read_direct_chunk((*[0] * (values.ndim - 1), start))
    length, block = int.from_bytes(chunk[:8], "big"), int.from_bytes(chunk[8:_HEADER], "big")
    if left_out or length != values.nbytes or block == 0 or block % (8 * values.itemsize):
        return False
    packed = np.frombuffer(chunk, np.uint8)[_HEADER:]
    read = library.bshuf_decompress_lz4(
        packed.ctypes.data, values.ctypes.data, values.size, values.itemsize, block // values.itemsize
    )
    if read != len(packed):
        raise OSError(f"the chunk of {dataset.name} at row {start} can't be unpacked")
    return True


def write_chunk(dataset: h5py.Dataset, start: int, values: NDArray[Any]) -> bool:
    """Write a contiguous array as `read_chunk` reads it, the bytes that HDF5 would write.

    Returns
    -------
    False, and nothing is written, where `read_chunk` would leave it to HDF5.
    """
    library, parameters = _library(), _parameters(dataset, start, values)
    if library is None or not parameters:
        return False
    block = parameters[_BLOCK]
    bound = library.bshuf_compress_lz4_bound(values.size, values.itemsize, block)
    packed = np.empty(_HEADER + bound, np.uint8)
    packed[:_HEADER].view(">u4")[:] = *divmod(values.nbytes, 1 << 32), block * values.itemsize
    size = library.bshuf_compress_lz4(
        values.ctypes.data, packed[_HEADER:].ctypes.data, values.size, values.itemsize, block
    )
    if size < 0:
        return False
    dataset.id.write_direct_chunk((*[0] * (values.ndim - 1), start), packed[: _HEADER + size])
    return True


def _parameters(dataset: h5py.Dataset, start: int, values: NDArray[Any]) -> tuple[int, ...]:
    """Return the filter's parameters; none where this module does not know how to read or write such an array."""
    plan = dataset.id.get_create_plist()
    packing = [plan.get_filter(i) for i in range(plan.get_nfilters())]
    known = (
        [code for code, *_ in packing] == [hdf5plugin.BSHUF_ID]
        and packing[0][2][_PACKER:] == (_LZ4,)
        and plan.get_chunk() == values.shape
        and start % values.shape[-1] == 0
        and start + values.shape[-1] <= dataset.shape[-1]
        and dataset.dtype == values.dtype
    )
    return packing[0][2] if known else ()


@lru_cache
def _library() -> CDLL | None:
    """Return the library, whose functions let other threads run; None where there is none."""
    for path in Path(hdf5plugin.PLUGIN_PATH).glob("libh5bshuf.*"):
        try:
            library = CDLL(str(path))
            pack, unpack, bound = (
                getattr(library, f"bshuf_{name}") for name in ("compress_lz4", "decompress_lz4", "compress_lz4_bound")
            )
        except (OSError, AttributeError):  # built in another way
            continue
        pack.restype = unpack.restype = c_int64
        pack.argtypes = unpack.argtypes = [c_void_p, c_void_p, c_size_t, c_size_t, c_size_t]
        bound.restype, bound.argtypes = c_size_t, [c_size_t, c_size_t, c_size_t]
        return library
    return None
