"""Tokens hashed to rows of an embedding table: equal on every machine, in any process."""

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.rows import NO_TOKEN


@compiled
def hash_into(tokens: NDArray[np.int64], rows: int | np.int64, ids: NDArray[np.int32]) -> None:
    """Write an id from 1 to rows - 1 for each token (n,) into ids (n,); 0 for `NO_TOKEN`."""
    for i in range(len(tokens)):
        low = np.uint32(tokens[i] & 0xFFFFFFFF)
        high = np.uint32(tokens[i] >> 32)
        ids[i] = 0 if tokens[i] == NO_TOKEN else 1 + mix(low ^ mix(high)) % np.uint32(rows - 1)


@compiled
def mix(x: np.uint32) -> np.uint32:
    """Scramble a 32-bit number one to one: the finaliser of MurmurHash3 (Appleby, public domain); 0 stays 0."""
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(x ^ (x >> np.uint32(16)))
