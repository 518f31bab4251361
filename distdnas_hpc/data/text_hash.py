"""Tokens of categorical values that are text: a 63-bit hash.

Two of n different values of a column get the same token with a probability of about n²/2⁶⁴: one in 10,000 for forty
million values, one in 700,000 for five million. Nobody is told; the two share an id.
"""

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled


@compiled
def hash_texts(text: NDArray[np.uint8], ends: NDArray[np.int32], tokens: NDArray[np.int64]) -> None:
    """Hash n texts that follow each other in one buffer.

    64-bit FNV-1a (Fowler, Noll & Vo), scrambled by the finaliser of MurmurHash3 (Appleby), less its lowest bit: equal
    on every machine, in any process.

    Parameters
    ----------
    text : the bytes.
    ends : (n + 1,) where each text ends and the next begins.
    tokens : (n,) gets the hashes, 0 to 2⁶³ - 1.
    """
    for i in range(len(tokens)):
        h = np.uint64(0xCBF29CE484222325)
        for at in range(ends[i], ends[i + 1]):
            h = (h ^ np.uint64(text[at])) * np.uint64(0x100000001B3)
        h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
        tokens[i] = np.int64((h ^ (h >> np.uint64(33))) >> np.uint64(1))
