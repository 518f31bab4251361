"""The one place that counts multiply-accumulates and parameters of any interaction network.

MACs are half of what torch's FlopCounterMode counts: every product of matrices, as `mm`, `addmm`, `bmm` and `baddbmm`,
to which Linear layers, matmul, einsum and attention written out come down. It leaves out

- the look-up of embeddings, which is not part of a network here, and additions (of biases, of modules' outputs);
- products of elements: the mixing weights, x ⊙ in crossnet and pin, the squares of the factorization machine, the scale
  of attention scores; further softmax, ReLU and LayerNorm. In the paper's supernet they are about 0.08 M operations a
  sample beside 4.97 M MACs;
- a matrix times a single vector (`mv`, `dot`), which no network has: a batch makes it a matrix.

Counted is what networks do on the meta device, all of it in torch's operations. On CPUs oneDNN and compiled kernels, of
which that counter knows nothing, take the same products.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class NetworkCost(NamedTuple):
    """MACs of a row's forward pass ('FLOPs' in the paper's tables) and trained parameters, embeddings not counted."""

    macs: int
    parameters: int


def network_cost(build: Callable[[], nn.Module], dense: int, sparse: int, dim_s: int) -> NetworkCost:
    """Count a network built on the meta device, which allocates and computes nothing.

    Parameters
    ----------
    build : makes the network.
    dense, sparse, dim_s : its inputs are (B, dense) and (B, sparse, dim_s).
    """
    network = _on_meta(build)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return NetworkCost(_count(network, dense, sparse, dim_s)["Global"], parameters)


def submodule_macs(build: Callable[[], nn.Module], dense: int, sparse: int, dim_s: int) -> dict[str, int]:
    """Return the MACs of every submodule by its name in `named_modules`, counted as in `network_cost`."""
    network = _on_meta(build)
    counts = _count(network, dense, sparse, dim_s)
    root = type(network).__name__
    return {name: counts[f"{root}.{name}" if name else root] for name, _ in network.named_modules()}


def _on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build().requires_grad_(False)


def _count(network: nn.Module, dense: int, sparse: int, dim_s: int) -> "Counter[str]":
    """Return what one more row costs (a batch of 2 less a batch of 1), by torch's names of modules."""
    counts: Counter[str] = Counter()
    for rows, sign in ((2, 1), (1, -1)):
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(rows, dense, device="meta"), torch.empty(rows, sparse, dim_s, device="meta"))
        for name, flops in counter.get_flop_counts().items():
            counts[name] += sign * sum(flops.values()) // 2
    return counts
