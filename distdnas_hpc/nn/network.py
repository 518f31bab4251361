"""The interaction network: stem, choice blocks, head. With every module and mixing weights it is the supernet."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.block import Block
from distdnas_hpc.nn.block_input import BlockInput, Shape
from distdnas_hpc.nn.products import Linear


class Mixing(NamedTuple):
    """Weights of the supernet's module outputs, one sample of the Gumbel softmax: dense and sparse, (N, 5) each."""

    dense: Tensor
    sparse: Tensor


class Network(nn.Module):
    """M copies of an architecture side by side on the same inputs, met by one linear head (paper §IV-C, §V-A).

    Everything below the head is a copy's own, so that MACs and parameters grow M times.

    Parameters
    ----------
    architecture : kept modules; `Architecture.full(N)` makes the supernet.
    dense, sparse : columns of each kind in the data.
    copies : M.
    """

    def __init__(self, architecture: Architecture, model: Model, dense: int, sparse: int, copies: int = 1) -> None:
        super().__init__()
        self.copies = nn.ModuleList(Copy(architecture, model, dense, sparse) for _ in range(copies))
        self.head = Linear(copies * (model.dim_d + (model.n_s + model.merged) * model.dim_s), 1)
        # It reads what LayerNorm has scaled: torch's usual weights would begin with a random logit for every row (its
        # deviation is 0.6), which short searches and trainings spend their steps to unlearn (docs/evidence.md).
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, dense: Tensor, embedded: Tensor, mixing: Mixing | None = None) -> Tensor:
        """Return one logit a row, (B,).

        Parameters
        ----------
        dense : (B, dense) normalised features.
        embedded : (B, sparse, dim_s) embeddings.
        mixing : weights of a supernet's modules; None sums them.
        """
        outputs = [output for copy in self.copies for output in copy(dense, embedded, mixing)]
        return self.head(torch.cat([output.flatten(1) for output in outputs], dim=1)).squeeze(1)


class Copy(nn.Module):
    """The stem and the blocks of an architecture; block i reads the dense outputs of blocks i-1 and i-2 (DESIGN §4)."""

    def __init__(self, architecture: Architecture, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.stem = Linear(dense, model.dim_d)
        first, later = Shape(model.dim_d, sparse), Shape(2 * model.dim_d, model.n_s + model.merged)
        self.blocks = nn.ModuleList(
            Block(*modules, later if i else first, model)
            for i, modules in enumerate(zip(architecture.dense, architecture.sparse, strict=True))
        )

    def forward(self, dense: Tensor, embedded: Tensor, mixing: Mixing | None) -> tuple[Tensor, Tensor]:
        """Return the last block's outputs, (B, dim_d) and (B, N_s + merged, dim_s)."""
        stem = self.stem(dense)
        before, previous, sparse = stem, stem, embedded
        for i, block in enumerate(self.blocks):
            both = torch.cat([previous, before], dim=1) if i else stem
            x = BlockInput(both, previous, before, stem, sparse)
            weights = () if mixing is None else (mixing.dense[i], mixing.sparse[i])
            before, (previous, sparse) = previous, block(x, *weights)
        return previous, sparse
