"""From the days' architecture weights to one architecture (paper §IV-A, §IV-C); imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.storage import read_yaml

Probabilities = NDArray[np.float64]
"""(N, 5), each row sums to 1."""

ROUNDING = 1e-6
"""Probabilities are float32 softmaxes; five of them at 'one fifth' may each fall short of θ = 0.2 by this much."""


@dataclass(frozen=True)
class Aggregate:
    """Mean and spread of α and β over days.

    Attributes
    ----------
    days : that were finished.
    alpha, beta : (N, 5) mean probabilities.
    alpha_spread, beta_spread : (N, 5) standard deviation between days (ddof 1); 0 for one day.
    """

    days: tuple[int, ...]
    alpha: Probabilities
    beta: Probabilities
    alpha_spread: Probabilities
    beta_spread: Probabilities

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for YAML."""
        sides = {name: getattr(self, name).tolist() for name in ("alpha", "beta", "alpha_spread", "beta_spread")}
        modules = {"dense_modules": list(DENSE_MODULES), "sparse_modules": list(SPARSE_MODULES)}
        return {"days": list(self.days), **modules, **sides}


def aggregate(files: Mapping[int, Path], min_days: int, *, by_rows: bool = False) -> Aggregate:
    """Average the probabilities of the days whose file exists.

    Parameters
    ----------
    files : `architecture.yaml` of each day that was to be searched.
    min_days : how many must be there.
    by_rows : weight each day by the rows that it was searched on; default: all days alike. Spreads weight none.

    Raises
    ------
    UserError : too few days are there, a file is damaged, or files come from different configs.
    """
    found = {day: path for day, path in sorted(files.items()) if path.is_file()}
    if len(found) < max(min_days, 1):
        missing = ", ".join(str(day) for day in files if day not in found)
        raise UserError(
            f"Only {len(found)} of the {len(files)} days are searched and {min_days} are needed (missing: {missing}); "
            "search them again, or lower search.min_days."
        )
    contents = {day: _read_day(path) for day, path in found.items()}
    first = next(iter(contents.values()))
    for day, content in contents.items():
        if content["config"] != first["config"]:
            raise UserError(
                f"{found[day]} comes from another config than day {first['day']}'s; search day {day} again."
            )
    alpha, beta = (np.array([content[side] for content in contents.values()]) for side in ("alpha", "beta"))
    spreads = (side.std(axis=0, ddof=1) if len(found) > 1 else np.zeros_like(side[0]) for side in (alpha, beta))
    weights = [content["rows"] if by_rows else 1 for content in contents.values()]
    means = (np.average(side, axis=0, weights=weights) for side in (alpha, beta))
    return Aggregate(tuple(found), *means, *spreads)


def discretize(alpha: Probabilities, beta: Probabilities, theta: float) -> Architecture:
    """Keep the modules whose mean probability is at least θ; the best one where none is."""
    return Architecture(_kept(alpha, DENSE_MODULES, theta), _kept(beta, SPARSE_MODULES, theta))


def _kept(probabilities: Probabilities, names: Sequence[str], theta: float) -> tuple[tuple[str, ...], ...]:
    keep = probabilities >= theta - ROUNDING
    keep |= ~keep.any(axis=1, keepdims=True) & (np.arange(len(names)) == probabilities.argmax(axis=1)[:, None])
    return tuple(tuple(name for name, kept in zip(names, row, strict=True) if kept) for row in keep)


def _read_day(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    for side, names in (("alpha", DENSE_MODULES), ("beta", SPARSE_MODULES)):
        try:
            rows = np.array(content[side], dtype=np.float64)
            good = rows.shape == (len(rows), len(names)) and np.allclose(rows.sum(axis=1), 1, atol=1e-4)
        except (KeyError, TypeError, ValueError):
            good = False
        if not good:
            raise UserError(
                f"{path}: '{side}' is not a table of probabilities, {len(names)} a block; search its day again."
            )
    return content
