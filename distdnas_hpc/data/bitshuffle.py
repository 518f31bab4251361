"""Whole chunks of HDF5, unpacked into the reader's arrays by the library that HDF5's own filter is in.

HDF5 unpacks a chunk into memory of its own and copies it from there, which takes half as long again as unpacking it.
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

_LZ4 = 2
"""What the filter's fifth parameter is when it packs with LZ4."""


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
    unpack, plan = _unpacker(), dataset.id.get_create_plist()
    packing = [plan.get_filter(i) for i in range(plan.get_nfilters())]
    if (
        unpack is None
        or [code for code, *_ in packing] != [hdf5plugin.BSHUF_ID]
        or packing[0][2][4:5] != (_LZ4,)
        or plan.get_chunk() != values.shape
        or start % values.shape[-1]
        or start + values.shape[-1] > dataset.shape[-1]
        or dataset.dtype != values.dtype
    ):
        return False
    left_out, chunk = dataset.id.read_direct_chunk((*[0] * (values.ndim - 1), start))
    length, block = int.from_bytes(chunk[:8], "big"), int.from_bytes(chunk[8:_HEADER], "big")
    if left_out or length != values.nbytes or block == 0 or block % (8 * values.itemsize):
        return False
    packed = np.frombuffer(chunk, np.uint8)[_HEADER:]
    read = unpack(packed.ctypes.data, values.ctypes.data, values.size, values.itemsize, block // values.itemsize)
    if read != len(packed):
        raise OSError(f"the chunk of {dataset.name} at row {start} can't be unpacked")
    return True


@lru_cache
def _unpacker() -> Any:
    """Return the library's function, which lets other threads run; None where there is none."""
    for path in Path(hdf5plugin.PLUGIN_PATH).glob("libh5bshuf.*"):
        try:
            unpack = CDLL(str(path)).bshuf_decompress_lz4
        except (OSError, AttributeError):  # built in another way
            continue
        unpack.argtypes, unpack.restype = [c_void_p, c_void_p, c_size_t, c_size_t, c_size_t], c_int64
        return unpack
    return None
