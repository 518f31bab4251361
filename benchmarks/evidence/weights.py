"""What the architecture weights of a study's days say: which modules they prefer, and how surely."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.search.aggregate import discretize

Weights = NDArray[np.float64]
"""α and β side by side: (…, N, 10)."""

MODULES = (*DENSE_MODULES, *SPARSE_MODULES)


def kept(mean: Weights, theta: float) -> NDArray[np.bool_]:
    """Return which modules the mean weights (N, 10) of a search keep at θ, as `search.aggregate` does."""
    found = discretize(mean[:, :5], mean[:, 5:], theta)
    blocks = zip(found.dense, found.sparse, strict=True)
    return np.array([[module in (*dense, *sparse) for module in MODULES] for dense, sparse in blocks])


def ordered(mean: Weights, wanted: Sequence[str]) -> float:
    """Return the share of pairs of a wanted and another module of the same block and side of which the wanted leads.

    1 is a perfect ranking, 1/2 is chance: the area under the ROC curve of the weights.
    """
    right = []
    for block in mean:
        for side, names in ((block[:5], DENSE_MODULES), (block[5:], SPARSE_MODULES)):
            chosen = np.isin(names, wanted)
            if chosen.any():
                ahead = side[chosen][:, None] - side[~chosen][None]
                right += ((ahead > 0) + 0.5 * (ahead == 0)).ravel().tolist()
    return float(np.mean(right))


def last_days(searches: Sequence[dict[str, Any]], n: int | None = None) -> list[Weights]:
    """Return the mean over the last n days of each search; default: over all."""
    return [np.array(search["days"])[-n if n else None :].mean(axis=0) for search in searches]


def agreement(means: Sequence[Weights], theta: float) -> float:
    """Return the share of all modules on which two searches agree, kept or not, averaged over pairs of searches."""
    sets = [kept(mean, theta) for mean in means]
    return float(np.mean([(a == b).mean() for a, b in combinations(sets, 2)]))


def side_of(wanted: Sequence[str]) -> NDArray[np.bool_]:
    """Return which of all ten modules are on the same side as the wanted ones, (10,)."""
    dense = np.isin(MODULES, DENSE_MODULES)
    return dense if set(wanted) <= set(DENSE_MODULES) else ~dense
