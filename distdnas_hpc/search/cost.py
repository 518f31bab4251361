"""The cost importance s of every module: what the regularisation R charges for it (paper §IV-B, Figure 5).

Architectures are sampled, their cost is taken, a regression forest learns cost from the kept modules, and each
module's permutation importance is how much worse the forest predicts held-out architectures when it can't see that
module (Breiman, 2001). Computed once a run, before the array of searches starts.
"""

import logging
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.inspection import permutation_importance

from distdnas_hpc.config import Config
from distdnas_hpc.nn import row_parallel
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.nn.macs import submodule_macs
from distdnas_hpc.nn.network import Network
from distdnas_hpc.progress import Progress

log = logging.getLogger(__name__)

MODULES = len(DENSE_MODULES) + len(SPARSE_MODULES)
HELD_OUT = 0.25
REPEATS = 5
"""Shuffles a feature's permutation importance is averaged over, and timings a latency is the median of."""

Keep = NDArray[np.bool_]
"""(samples, N, 10): whether a block keeps each dense module, then each sparse one."""


@dataclass(frozen=True)
class ModuleMacs:
    """MACs of a network taken apart: exact sums, because a module's cost does not depend on what else is kept.

    Attributes
    ----------
    base : of stem, mergers and head.
    modules : (N, 10) of each dense, then each sparse module.
    """

    base: int
    modules: NDArray[np.int64]

    def of(self, share: NDArray[np.bool_] | NDArray[np.floating]) -> NDArray[np.float64]:
        """Return MACs of networks that keep `share` (…, N, 10) of each module: 0 or 1, or probabilities for a mean."""
        total: NDArray[np.float64] = self.base + (share * self.modules).sum(axis=(-2, -1), dtype=np.float64)
        return total


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
    macs: ModuleMacs

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
        macs = ModuleMacs(content["macs_base"], np.array(content["macs_modules"]))
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
        latency = np.empty(len(keep))
        for i, sample in enumerate(keep):
            latency[i] = _latency(config, _architecture(sample), dense, sparse, device)
            progress.update(0.5 * (i + 1) / len(keep))
        cost = (1 - settings.latency_weight) * cost + settings.latency_weight * latency / latency.mean()

    progress.update(0.5)
    features = count_modules(keep)
    held_out = max(2, round(HELD_OUT * len(keep)))
    seed = config.seed_of("cost", "forest")
    forest = ExtraTreesRegressor(settings.trees, max_features=0.5, random_state=seed)
    forest.fit(features[held_out:], cost[held_out:])
    r2 = float(forest.score(features[:held_out], cost[:held_out]))
    rounds = []
    for repeat in range(REPEATS):
        progress.update(0.6 + 0.4 * repeat / REPEATS)
        round_ = permutation_importance(
            forest, features[:held_out], cost[:held_out], n_repeats=1, random_state=(seed + repeat) % 2**32
        )
        rounds.append(round_.importances_mean)
    log.info("cost model of %d architectures: held-out R² %.3f", len(keep), r2)
    if r2 < 0.9:
        log.warning("the cost model explains its held-out architectures poorly (R² %.3f < 0.9): raise cost.samples", r2)
    progress.update(1.0)
    s = spread(np.mean(rounds, axis=0), blocks)
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


def module_macs(config: Config, dense: int, sparse: int) -> ModuleMacs:
    """Count the supernet's MACs, each module's apart."""
    model = config.model

    def supernet() -> Network:
        return Network(Architecture.full(model.blocks), model, dense, sparse)

    macs = submodule_macs(supernet, dense, sparse, model.dim_s)
    names = [f"dense.{name}" for name in DENSE_MODULES] + [f"sparse.{name}" for name in SPARSE_MODULES]
    modules = np.array([[macs[f"copies.0.blocks.{i}.{name}"] for name in names] for i in range(model.blocks)])
    return ModuleMacs(macs[""] - int(modules.sum()), modules)


def _architecture(keep: Keep) -> Architecture:
    dense, sparse = np.split(keep, [len(DENSE_MODULES)], axis=1)
    return Architecture(
        tuple(tuple(np.array(DENSE_MODULES)[block].tolist()) for block in dense),
        tuple(tuple(np.array(SPARSE_MODULES)[block].tolist()) for block in sparse),
    )


@torch.inference_mode()
def _latency(config: Config, architecture: Architecture, dense: int, sparse: int, device: torch.device) -> float:
    """Return the median seconds of a forward pass over `latency_batch` rows."""
    rows = config.cost.latency_batch
    with device:
        network = Network(architecture, config.model, dense, sparse).eval()
        inputs = torch.randn(rows, dense), torch.randn(rows, sparse, config.model.dim_s)
    seconds = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        row_parallel.forward(network, *inputs).sum().item()  # .item() waits for the device
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])  # the first pass warms up
