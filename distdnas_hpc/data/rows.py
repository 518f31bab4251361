"""A stretch of a click log as arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MISSING = int(np.iinfo(np.int32).min)
"""Stands in a dense column where the log has no value."""

NO_TOKEN = -1
"""Stands in a column of tokens where the log has none."""


class Rows(NamedTuple):
    """Rows of a log, in file order.

    Attributes
    ----------
    label : (n,) uint8, 1 = click.
    dense : (n, dense) int32, `MISSING` where empty.
    sparse : (n, sparse), either int64 tokens, 0 to 2³²-1 and `NO_TOKEN` where empty, or int32 ids of the embedding
        tables, from 0.
    """

    label: NDArray[np.uint8]
    dense: NDArray[np.int32]
    sparse: NDArray[np.int32] | NDArray[np.int64]
