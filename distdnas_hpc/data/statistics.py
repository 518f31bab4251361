"""Mean and spread of the dense columns after the normalising transform, one pass, mergeable over days."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.rows import MISSING

Columns = NDArray[np.float64]


def transform(values: NDArray[Any]) -> NDArray[Any]:
    """f(x) = sign(x)·log(1 + |x|), elementwise, in the precision of `values` (floats); tames the tails of counts."""
    return np.copysign(np.log1p(np.abs(values)), values)


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
        """Compute them for rows (n, dense) with `MISSING` where there is no value."""
        present = dense != MISSING
        values = transform(dense.astype(np.float64))
        count = present.sum(axis=0, dtype=np.int64)
        mean = values.sum(axis=0, where=present) / np.maximum(count, 1)
        return cls(
            count=count,
            missing=len(dense) - count,
            mean=mean,
            m2=((values - mean) ** 2).sum(axis=0, where=present),
            minimum=values.min(axis=0, where=present, initial=np.inf),
            maximum=values.max(axis=0, where=present, initial=-np.inf),
        )

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

    def to_dict(self) -> dict[str, list[Any]]:
        """Return plain lists, a value a column, for YAML."""
        return {name: values.tolist() for name, values in vars(self).items()}

    @classmethod
    def from_dict(cls, content: dict[str, list[Any]]) -> "DenseStatistics":
        """Read what `to_dict` returned."""
        arrays: dict[str, Any] = {name: np.array(values) for name, values in content.items()}
        return cls(**arrays)


def merge_all(parts: Iterable[DenseStatistics]) -> DenseStatistics:
    """Merge one or more, from first to last."""
    return reduce(DenseStatistics.merge, parts)
