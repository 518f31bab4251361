"""The cost importance s of every module: what the regularisation R charges for it (paper §IV-B, Figure 5).

Architectures are sampled, their cost is taken, a regression forest learns cost from the kept modules, and each
module's permutation importance is how much worse the forest predicts held-out architectures when it can't see that
module (Breiman, 2001). Computed once a run, before the array of searches starts.

The forest is boosted from trees of one split (Friedman, 2001 and 2002): each tree then knows one feature, and their sum
is a sum over modules, as cost is. Deep trees whose mean is taken have to learn from examples that costs add up.
Held-out R² for exact MACs (`latency_weight: 0`) of so many samples:

                                                         200     500    1000    5000
    the paper's dimensions    boosted, 500 trees       0.975   0.994   0.994   0.994
                              extremely random, 100     0.70    0.80    0.84    0.91
    the quickstart's          boosted, 500 trees       0.998   0.997   0.997   0.995
                              extremely random, 100     0.67    0.78    0.84    0.90

With measured latency as half of the cost (the default) it is 0.990 and 0.998 for 5000 samples, on one thread of a busy
two-core machine, after one to three minutes and ten seconds. Latency is taken from parts (`module_costs`): its
noise is what limited R² when every sampled network was timed as a whole, and the time did not suffice for many samples.
At the paper's dimensions, 1,024 rows, such a network takes 0.13 s; with the median of five interleaved passes R² was
0.94 for 160 networks on a quiet machine and 0.81 for 300 on a busy one, where single timings gave less than 0.6.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.inspection import permutation_importance

from distdnas_hpc.config import Config
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.progress import Progress
from distdnas_hpc.search.module_costs import Keep, ModuleCosts, module_latency, module_macs

log = logging.getLogger(__name__)

MODULES = len(DENSE_MODULES) + len(SPARSE_MODULES)
HELD_OUT = 0.25
"""Share of the architectures that R² and the importances are taken on."""
WHOLE = 10
"""Whole networks whose latency is measured beside that of modules."""
SHUFFLES = 20
"""Shuffles that a feature's permutation importance is averaged over."""


@dataclass(frozen=True)
class CostImportance:
    """Normalised cost importance and the model it comes from.

    Attributes
    ----------
    dense, sparse : (N, 5), from 0 to 1, the largest of both is 1; rows 2..N are equal.
    r2 : coefficient of determination of the forest on held-out architectures.
    macs : the parts of a network's MACs.
    """

    dense: NDArray[np.float64]
    sparse: NDArray[np.float64]
    r2: float
    macs: ModuleCosts

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for YAML."""
        return {
            "dense": self.dense.tolist(),
            "sparse": self.sparse.tolist(),
            "r2": self.r2,
            "macs_base": self.macs.base,
            "macs_modules": self.macs.modules.tolist(),
            "macs_full": self.macs.base + int(self.macs.modules.sum()),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "CostImportance":
        """Read what `to_dict` wrote; other keys are left alone."""
        macs = ModuleCosts(content["macs_base"], np.array(content["macs_modules"]))
        return cls(np.array(content["dense"]), np.array(content["sparse"]), content["r2"], macs)


def cost_importance(
    config: Config, dense: int, sparse: int, device: torch.device, progress: Progress
) -> CostImportance:
    """Sample architectures, fit the cost model and return its importances.

    Parameters
    ----------
    dense, sparse : columns of each kind in the data.
    device : where latency is measured, if `config.cost.latency_weight` asks for it.
    """
    settings, blocks = config.cost, config.model.blocks
    rng = np.random.default_rng(config.seed_of("cost"))
    macs = module_macs(config, dense, sparse)
    keep = sample_architectures(settings.samples, blocks, rng)
    cost = macs.of(keep)
    cost /= cost.mean()
    if settings.latency_weight:
        whole = sample_architectures(WHOLE, blocks, rng)
        parts = module_latency(config, dense, sparse, device, whole, lambda share: progress.update(0.9 * share))
        latency = parts.of(keep)
        cost = (1 - settings.latency_weight) * cost + settings.latency_weight * latency / latency.mean()

    features = count_modules(keep)
    held_out = max(2, round(HELD_OUT * len(keep)))
    seed = config.seed_of("cost", "forest")
    forest = GradientBoostingRegressor(n_estimators=settings.trees, max_depth=1, subsample=0.5, random_state=seed)
    forest.fit(features[held_out:], cost[held_out:])
    r2 = float(forest.score(features[:held_out], cost[:held_out]))
    importance = permutation_importance(
        forest, features[:held_out], cost[:held_out], n_repeats=SHUFFLES, random_state=seed
    ).importances_mean
    log.info("cost model of %d architectures: held-out R² %.3f", len(keep), r2)
    if r2 < 0.9:
        log.warning("the cost model explains its held-out architectures poorly (R² %.3f < 0.9): raise cost.samples", r2)
    progress.update(1.0)
    s = spread(importance, blocks)
    return CostImportance(s[:, : len(DENSE_MODULES)], s[:, len(DENSE_MODULES) :], r2, macs)


def sample_architectures(samples: int, blocks: int, rng: np.random.Generator) -> Keep:
    """Keep each module with probability 1/2, and one at random on a side that would keep none."""
    keep = rng.random((samples, blocks, 2, MODULES // 2)) < 0.5
    spare = rng.integers(MODULES // 2, size=(samples, blocks, 2))
    rescued = np.arange(MODULES // 2) == spare[..., None]
    keep |= rescued & ~keep.any(axis=-1, keepdims=True)
    return keep.reshape(samples, blocks, MODULES)


def count_modules(keep: Keep) -> NDArray[np.float32]:
    """Return the cost model's features (samples, 20): what block 1 keeps, and how many of blocks 2..N keep each module.

    Block 1 stands alone, since its inputs have another size; a module costs the same in all later blocks.
    """
    return np.concatenate([keep[:, 0], keep[:, 1:].sum(axis=1)], axis=1).astype(np.float32)


def spread(importance: NDArray[np.float64], blocks: int) -> NDArray[np.float64]:
    """Turn importances of the features (20,) into s (N, 10), the largest 1; what noise made negative is 0.

    A count's importance is that of N-1 modules whose choices are independent, so each gets its share of it.
    """
    first, later = importance.clip(min=0).reshape(2, MODULES)
    s = np.concatenate([first[None], np.tile(later / max(blocks - 1, 1), (blocks - 1, 1))])
    return s / s.max()
