"""What a network costs, taken apart into its modules: MACs, counted, and latency, measured (paper §IV-B)."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distdnas_hpc.config import Config
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.nn.block import Block
from distdnas_hpc.nn.block_input import BlockInput, Shape
from distdnas_hpc.nn.macs import submodule_macs
from distdnas_hpc.nn.network import Network

log = logging.getLogger(__name__)

ROUNDS = 30
"""Timings of every part, each in a round of its own over all parts."""

Keep = NDArray[np.bool_]
"""(…, N, 10): whether a block keeps each dense module, then each sparse one."""


@dataclass(frozen=True)
class ModuleCosts:
    """A cost that adds up over the modules of a network: a module costs the same whatever else is kept.

    Attributes
    ----------
    base : of stem, mergers and head.
    modules : (N, 10) of each dense, then each sparse module.
    """

    base: float
    modules: NDArray[Any]

    def of(self, share: NDArray[np.bool_] | NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the cost of networks that keep `share` (…, N, 10) of each: 0 or 1, or probabilities for a mean."""
        total: NDArray[np.float64] = self.base + (share * self.modules).sum(axis=(-2, -1), dtype=np.float64)
        return total


def module_macs(config: Config, dense: int, sparse: int) -> ModuleCosts:
    """Count the supernet's MACs, each module's apart; the sums are exact."""
    model = config.model

    def supernet() -> Network:
        return Network(Architecture.full(model.blocks), model, dense, sparse)

    macs = submodule_macs(supernet, dense, sparse, model.dim_s)
    names = [f"dense.{name}" for name in DENSE_MODULES] + [f"sparse.{name}" for name in SPARSE_MODULES]
    modules = np.array([[macs[f"copies.0.blocks.{i}.{name}"] for name in names] for i in range(model.blocks)])
    return ModuleCosts(macs[""] - int(modules.sum()), modules)


@torch.inference_mode()
def module_latency(
    config: Config, dense: int, sparse: int, device: torch.device, whole: Keep, report: Callable[[float], None]
) -> ModuleCosts:
    """Measure how much time each module takes for `config.cost.latency_batch` rows, in a unit of its own.

    The modules of block 1 and of a later block, and some whole networks, are timed in turn, round after round. Timings
    of a round are divided by their sum, so that a machine that is slow for a while changes nothing, and the median over
    rounds drops what was disturbed for a moment. A straight line from the sum of a network's modules to its own time
    then says what a module costs inside a network (its slope, beside 1) and what the rest costs (its intercept). On a
    busy two-core machine it met ten networks of the paper's dimensions to within 1.2 to 1.7% on average, of the
    quickstart's to within 1 to 6%.

    Parameters
    ----------
    dense, sparse : columns of each kind in the data.
    whole : (networks, N, 10), the whole networks, three or more; the log says how well the line meets them.
    report : called with the share done, 0 to 1.
    """
    model, rows = config.model, config.cost.latency_batch
    with device:
        inputs = torch.randn(rows, dense), torch.randn(rows, sparse, model.dim_s)
        shapes = [Shape(model.dim_d, sparse), Shape(2 * model.dim_d, model.n_s + model.merged)][: model.blocks]
        modules = [call for shape in shapes for call in _modules(config, shape, rows)]
        networks = [Network(architecture_of(keep), model, dense, sparse) for keep in whole]
    calls: list[Callable[[], Tensor]] = [*modules, *(partial(network, *inputs) for network in networks)]

    seconds = np.empty((ROUNDS, len(calls)))
    _time(calls)  # loads what a device loads at first
    for number in range(ROUNDS):
        seconds[number] = _time(calls)
        report((number + 1) / ROUNDS)
    shares = np.median(seconds / seconds.sum(axis=1, keepdims=True), axis=0)
    first, *later = shares[: len(modules)].reshape(len(shapes), -1)
    of_blocks = np.array([first, *later * (model.blocks - 1)])
    measured = shares[len(modules) :]
    sums = ModuleCosts(0.0, of_blocks).of(whole)
    slope, intercept = np.polyfit(sums, measured, 1)
    error = np.abs((intercept + slope * sums) / measured - 1).mean()
    log.info(
        "latency of %d whole networks for %d rows: %.1f ms in the median; sums of modules meet it to within %.1f%% on "
        "average (correlation %.3f)",
        len(whole), rows, 1000 * np.median(seconds[:, len(modules) :]), 100 * error, np.corrcoef(sums, measured)[0, 1],
    )  # fmt: skip
    return ModuleCosts(float(intercept), slope * of_blocks)


def architecture_of(keep: Keep) -> Architecture:
    """Return the architecture that keeps the modules marked in `keep`, (N, 10)."""
    dense, sparse = np.split(keep, [len(DENSE_MODULES)], axis=1)
    return Architecture(
        tuple(tuple(np.array(DENSE_MODULES)[block].tolist()) for block in dense),
        tuple(tuple(np.array(SPARSE_MODULES)[block].tolist()) for block in sparse),
    )


def _modules(config: Config, shape: Shape, rows: int) -> list[Callable[[], Tensor]]:
    """Return a call of each module of a block on an input of its own."""
    model = config.model
    block = Block(DENSE_MODULES, SPARSE_MODULES, shape, model)
    dense, (left, right, stem) = torch.randn(rows, shape.width), torch.randn(3, rows, model.dim_d)
    x = BlockInput(dense, left, right, stem, torch.randn(rows, shape.vectors, model.dim_s))
    modules = [*(block.dense[name] for name in DENSE_MODULES), *(block.sparse[name] for name in SPARSE_MODULES)]
    return [partial(module, x) for module in modules]


def _time(calls: Sequence[Callable[[], Tensor]]) -> list[float]:
    """Return the seconds of each call, the device's work included."""
    seconds = []
    for call in calls:
        start = time.perf_counter()
        call().flatten()[0].item()  # waits for the device
        seconds.append(time.perf_counter() - start)
    return seconds
