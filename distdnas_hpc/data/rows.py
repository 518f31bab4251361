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
    sparse : (n, sparse), either int64 tokens, 0 to 2⁶³-1 and `NO_TOKEN` where empty, or int32 ids of the embedding
        tables, from 0. Criteo's tokens are below 2³².
    """

    label: NDArray[np.uint8]
    dense: NDArray[np.int32]
    sparse: NDArray[np.int32] | NDArray[np.int64]


class Rejected(NamedTuple):
    """A faulty row that was left out.

    Attributes
    ----------
    line : its line in the file, from 1; of CSV and Parquet, its row, not counting a header.
    reason : what is wrong with it.
    text : the row as it stands in the file.
    """

    line: int
    reason: str
    text: str
