"""From stored columns to rows as a model takes them: codes to ids, dense values to standardised ones.

All of it is done to a chunk of columns while it is in the processor's cache, column by column: a column's mean and the
place of its ids stay in registers, and its frequent ids, which are few, in the first cache.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.dictionary import Codes
from distdnas_hpc.data.rows import MISSING, Columns
from distdnas_hpc.data.transform import transform
from distdnas_hpc.data.translation import Ids, Translation

_TILE = 128
"""Rows made at a time: few enough that they stay in the first cache while their columns are filled."""


@dataclass(frozen=True)
class Decoder:
    """What the rows of one day need.

    Attributes
    ----------
    translation : of the day's codes.
    mean, scale : (dense,) mean and 1 / standard deviation of f(x) over the training days.
    """

    translation: Translation
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def decode(
        self,
        columns: Columns,
        start: int,
        label: NDArray[np.float32],
        dense: NDArray[np.float32],
        sparse: NDArray[Any],
    ) -> None:
        """Turn n rows of stored columns into rows one after the other; all arrays are contiguous.

        Parameters
        ----------
        columns : with codes.
        start : the first of the n rows.
        label : (n,) receives the labels.
        dense : (n, dense) receives f(x) standardised, computed in double and rounded once; 0, the mean, where missing.
        sparse : (n, sparse) int32 or int64, receives the ids.
        """
        _decode(*columns, start, *self.translation, self.mean, self.scale, label, dense, sparse)


@compiled
def _decode(
    label: NDArray[np.uint8],
    dense: NDArray[np.int32],
    codes: Codes,
    start: int,
    ids: Ids,
    starts: NDArray[np.int64],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    label_out: NDArray[np.float32],
    dense_out: NDArray[np.float32],
    sparse_out: NDArray[Any],
) -> None:
    values = np.empty(_TILE, np.float32)
    # Places are unsigned: testing for negative ones, which count from the end, would take as long as all the rest.
    begin = np.uint64(start)
    for first in range(np.uint64(0), np.uint64(len(label_out)), np.uint64(_TILE)):
        n = min(np.uint64(_TILE), np.uint64(len(label_out)) - first)
        row = begin + first
        for i in range(n):
            label_out[first + i] = label[row + i]
        for j in range(np.uint64(len(dense))):
            # Into one stretch of memory first, so that the processor computes many values at a time.
            standardise(dense[j, row : row + n], mean[j], scale[j], values)
            for i in range(n):
                dense_out[first + i, j] = values[i]
        for j in range(np.uint64(len(codes))):
            code_0 = np.uint64(starts[j])
            for i in range(n):
                code = codes[j, row + i]
                sparse_out[first + i, j] = ids[code_0 + np.uint64(code)] if code >= 0 else -code  # see `dictionary`


@compiled
def standardise(values: NDArray[np.int32], mean: float, scale: float, out: NDArray[np.float32]) -> None:
    """Write (f(x) - mean)·scale of each value, computed in double and rounded once; 0, the mean, where `MISSING`."""
    for i in range(len(values)):
        y = np.float32((transform(values[i]) - mean) * scale)
        out[i] = np.float32(0) if values[i] == MISSING else y
