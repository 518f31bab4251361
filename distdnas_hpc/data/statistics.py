"""Mean and spread of the dense columns after the normalising transform, one pass, mergeable over days."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.rows import MISSING
from distdnas_hpc.data.transform import transform

Columns = NDArray[np.float64]

_LARGEST = np.int32(2**31 - 1)
_LANES = 32


@dataclass(frozen=True)
class DenseStatistics:
    """Moments of f(x) over the present values of each dense column.

    Attributes
    ----------
    count, missing : (dense,) int64, rows with and without a value.
    mean, m2 : (dense,) mean, and sum of squared deviations from it; 0 where count is 0.
    minimum, maximum : (dense,) of f(x); inf and -inf where count is 0.

    References
    ----------
    Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance", The American Statistician 37(3).
    """

    count: NDArray[np.int64]
    missing: NDArray[np.int64]
    mean: Columns
    m2: Columns
    minimum: Columns
    maximum: Columns

    @classmethod
    def of(cls, dense: NDArray[np.int32]) -> "DenseStatistics":
        """Compute them for columns (dense, n) with `MISSING` where there is no value."""
        count = np.zeros(len(dense), np.int64)
        moments = np.zeros((4, len(dense)))
        _gather(dense, count, moments)
        return cls(count, dense.shape[1] - count, *moments)

    def merge(self, other: "DenseStatistics") -> "DenseStatistics":
        """Return the statistics of both sets of rows together."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        difference = other.mean - self.mean
        return DenseStatistics(
            count=count,
            missing=self.missing + other.missing,
            mean=self.mean + difference * share,
            m2=self.m2 + other.m2 + difference**2 * self.count * share,
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
        )

    @property
    def std(self) -> Columns:
        """(dense,) standard deviation, by which batches are divided: 1 where all values are equal or missing."""
        std = np.sqrt(self.m2 / np.maximum(self.count, 1))
        return np.where((self.minimum < self.maximum) & (std > 0), std, 1.0)

    def describe(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return, by column, plain values for the manifest: what `to_dict` has, variance, std and missing_share."""
        rows = np.maximum(self.count + self.missing, 1)
        variance = self.m2 / np.maximum(self.count, 1)
        derived = {"missing_share": self.missing / rows, "variance": variance, "std": self.std}
        columns = self.to_dict() | {name: values.tolist() for name, values in derived.items()}
        return {name: {key: values[j] for key, values in columns.items()} for j, name in enumerate(names)}

    def to_dict(self) -> dict[str, list[Any]]:
        """Return plain lists, a value a column, for YAML."""
        return {name: values.tolist() for name, values in vars(self).items()}

    @classmethod
    def from_dict(cls, content: dict[str, list[Any]]) -> "DenseStatistics":
        """Read what `to_dict` returned."""
        arrays: dict[str, Any] = {name: np.array(values) for name, values in content.items()}
        return cls(**arrays)


@compiled
def _gather(columns: NDArray[np.int32], count: NDArray[np.int64], moments: Columns) -> None:
    """Fill count (dense,) and moments (4, dense: mean, m2, minimum, maximum) from columns (dense, n).

    Loops without branches, and sums in `_LANES` parts, let a processor with vector registers work on several rows at a
    time; the parts are the same on every machine, and so are the results.
    """
    n = columns.shape[1]
    values = np.empty(n)
    for j in range(len(columns)):
        column = columns[j]
        present = 0
        lowest, highest = _LARGEST, -_LARGEST
        for i in range(n):
            x = column[i]
            present += x != MISSING
            # f keeps the order, so the extremes of f are those of the integers.
            lowest = min(lowest, _LARGEST if x == MISSING else x)
            highest = max(highest, -_LARGEST if x == MISSING else x)
        for i in range(n):
            values[i] = transform(column[i])
        for i in range(n):
            values[i] = 0.0 if column[i] == MISSING else values[i]
        mean = _sum(values) / max(present, 1)
        for i in range(n):
            values[i] = 0.0 if column[i] == MISSING else (values[i] - mean) ** 2
        count[j] = present
        moments[0, j], moments[1, j] = mean, _sum(values)
        moments[2, j] = transform(lowest) if present else np.inf
        moments[3, j] = transform(highest) if present else -np.inf


@compiled
def _sum(values: Columns) -> float:
    """Add up numbers: the k-th part has numbers k, k + _LANES and so on."""
    parts = np.zeros(_LANES)
    whole = len(values) // _LANES * _LANES
    for first in range(0, whole, _LANES):
        for k in range(_LANES):
            parts[k] += values[first + k]
    for i in range(whole, len(values)):
        parts[i - whole] += values[i]
    total = 0.0
    for part in parts:
        total += part
    return total


def merge_all(parts: Iterable[DenseStatistics]) -> DenseStatistics:
    """Merge one or more, from first to last."""
    return reduce(DenseStatistics.merge, parts)
