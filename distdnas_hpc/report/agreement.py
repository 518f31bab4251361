"""Whether the days agree: how like their mean each day is, and what the kept set owes to a single day (paper §IV-A)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.report.parts import Array
from distdnas_hpc.report.results import Results
from distdnas_hpc.search.aggregate import discretize


@dataclass(frozen=True)
class DayAgreement:
    """How one day's weights stand to the mean over the days.

    Attributes
    ----------
    rank_correlation : Spearman's ρ between the day's weights and the mean's among the five modules of one side of one
        block, averaged over blocks and sides; -1 to 1. None where every weight is the same.
    added, dropped : modules that the other days alone would keep beside, or not keep of, those that all days keep, as
        'block 2 pin'. None of either: the kept set does not hang on this day.
    """

    day: int
    rank_correlation: float | None
    added: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """The days of a run and its kept set.

    Attributes
    ----------
    stability : share of all modules, 0 to 1, on which every leave-one-day-out set agrees with the kept set.
    """

    theta: float
    days: tuple[DayAgreement, ...]
    stability: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @property
    def least_like(self) -> DayAgreement | None:
        """The day with the lowest rank correlation."""
        known = [day for day in self.days if day.rank_correlation is not None]
        return min(known, key=lambda day: day.rank_correlation or 0.0, default=None)

    @property
    def decisive(self) -> tuple[DayAgreement, ...]:
        """The days without which another set would be kept."""
        return tuple(day for day in self.days if day.added or day.dropped)


def agreement(results: Results, theta: float | None = None) -> Agreement | None:
    """Compare each day that the run's mean is made of with that mean; None with fewer than two of them.

    Parameters
    ----------
    theta : threshold of the kept set; default: the run's own.
    """
    found = results.found
    numbers = [] if found is None else [day for day in found.days if day in results.days]
    if found is None or len(numbers) < 2:
        return None
    theta = found.theta if theta is None else theta
    alpha, beta = (np.array([getattr(results.days[day], side)[-1] for day in numbers]) for side in ("alpha", "beta"))
    mean = [side.mean(axis=0) for side in (alpha, beta)]
    kept = _modules(discretize(mean[0], mean[1], theta))
    days, touched = [], set[str]()
    for index, number in enumerate(numbers):
        others = [np.delete(side, index, axis=0).mean(axis=0) for side in (alpha, beta)]
        without = _modules(discretize(others[0], others[1], theta))
        correlation = _rank_correlation(np.concatenate([alpha[index], beta[index]]), np.concatenate(mean))
        added, dropped = (tuple(name for name in a if name not in b) for a, b in ((without, kept), (kept, without)))
        touched |= {*added, *dropped}
        days.append(DayAgreement(number, correlation, added, dropped))
    modules = alpha.shape[1] * (len(DENSE_MODULES) + len(SPARSE_MODULES))
    return Agreement(theta, tuple(days), 1 - len(touched) / modules)


def _modules(architecture: Architecture) -> list[str]:
    """Return the kept modules, dense before sparse ones in each block."""
    sides = zip(architecture.dense, architecture.sparse, strict=True)
    return [f"block {i} {name}" for i, (dense, sparse) in enumerate(sides, 1) for name in (*dense, *sparse)]


def _rank_correlation(one: Array, other: Array) -> float | None:
    """Return the mean over rows of Spearman's ρ; rows whose weights are all equal have none and don't count."""
    found = []
    for a, b in zip(one, other, strict=True):
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            found.append(float(np.corrcoef(_ranks(a), _ranks(b))[0, 1]))
    return float(np.mean(found)) if found else None


def _ranks(values: Sequence[float] | Array) -> Array:
    """Return ranks from 0, equal values sharing the mean of theirs."""
    values = np.asarray(values)
    below, equal = (values[:, None] > values).sum(axis=1), (values[:, None] == values).sum(axis=1)
    return below + (equal - 1) / 2
