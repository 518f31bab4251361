"""A stretch of a click log as arrays, and how missing values stand in them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MISSING = int(np.iinfo(np.int32).min)
"""Stands in a dense column where the log has no value."""

NO_TOKEN = -1
"""Stands in a column of tokens where the log has none."""


class Columns(NamedTuple):
    """Rows of a log in file order, column by column: how they are parsed and stored.

    Attributes
    ----------
    label : (n,) uint8, 1 = click.
    dense : (dense, n) int32, `MISSING` where empty.
    sparse : (sparse, n), either int64 tokens, 0 to 2⁶³-1 and `NO_TOKEN` where empty, or int32 codes (see `dictionary`).
        Criteo's tokens are below 2³².
    """

    label: NDArray[np.uint8]
    dense: NDArray[np.int32]
    sparse: NDArray[Any]

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All three, rows along the last axis."""
        return self

    def part(self, start: int, stop: int) -> "Columns":
        """Return a view of rows `start` to `stop` (excluded)."""
        return Columns(self.label[start:stop], self.dense[:, start:stop], self.sparse[:, start:stop])


class Rows(NamedTuple):
    """Rows of a log one after the other: how a shuffle picks them.

    Attributes
    ----------
    label : (n,) uint8, 1 = click.
    dense : (n, dense) int32, `MISSING` where empty.
    sparse : (n, sparse) int32 ids of the embedding tables, from 0.
    """

    label: NDArray[np.uint8]
    dense: NDArray[np.int32]
    sparse: NDArray[np.int32]


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
