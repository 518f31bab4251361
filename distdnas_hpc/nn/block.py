"""The choice block: interaction modules in parallel, their weighted sum, fully enabled mergers (paper §III-A)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn import vector_products
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.nn.block_input import BlockInput, Shape
from distdnas_hpc.nn.dense_modules import DENSE
from distdnas_hpc.nn.dense_side import dense_side, fits
from distdnas_hpc.nn.products import Linear
from distdnas_hpc.nn.sparse_modules import SPARSE
from distdnas_hpc.nn.sparse_side import sparse_side

_KNOWN = frozenset((*DENSE.values(), *SPARSE.values()))
"""Modules that the kernels compute; what derives from one computes for itself."""


class Block(nn.Module):
    """One choice block.

    Both mergers read the sums of the modules, before the other merger has added to them:
    dense→sparse maps the dense sum to `merged` further sparse vectors; sparse→dense adds a factorization machine of
    the sparse sum, mapped to dim_d, to the dense sum. LayerNorm on both outputs keeps the products of seven blocks in
    range (DESIGN §4).

    Parameters
    ----------
    dense, sparse : names of the modules to build.
    shape : sizes of the inputs.
    """

    def __init__(self, dense: Sequence[str], sparse: Sequence[str], shape: Shape, model: Model) -> None:
        super().__init__()
        self.dense = nn.ModuleDict({name: DENSE[name](shape, model) for name in dense})
        self.sparse = nn.ModuleDict({name: SPARSE[name](shape, model) for name in sparse})
        self.dense_to_sparse = Linear(model.dim_d, model.merged * model.dim_s)
        self.sparse_to_dense = Linear(model.dim_s, model.dim_d)
        self.norm_dense = nn.LayerNorm(model.dim_d)
        self.norm_sparse = nn.LayerNorm(model.dim_s)
        self._merged, self._heads, self._n_s = model.merged, model.heads, model.n_s

    def forward(
        self, x: BlockInput, dense_weights: Tensor | None = None, sparse_weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the dense output (B, dim_d) and the sparse output (B, N_s + merged, dim_s).

        Parameters
        ----------
        dense_weights, sparse_weights : (5,) weights of the modules in the order of `DENSE_MODULES` and
            `SPARSE_MODULES`; None for a plain sum.
        """
        dense = self._dense_sum(x, dense_weights)
        merged = self.dense_to_sparse(dense)
        # Vectors one after the other in memory, see nn.sparse_modules.
        vectors, machine = self._sparse_side(x, merged, sparse_weights)
        dense = self.norm_dense(dense + self.sparse_to_dense(machine))
        return dense, vectors.transpose(0, 1)

    def _dense_sum(self, x: BlockInput, weights: Tensor | None) -> Tensor:
        if _takes_kernels(self.dense, x) and weights is not None and fits(self.dense, x):
            return dense_side(self.dense, x, weights)
        return _sum(self.dense, x, DENSE_MODULES, weights)

    def _sparse_side(self, x: BlockInput, merged: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the sparse output (N_s + merged, B, dim_s) and the factorization machine of the modules' sum."""
        if _takes_kernels(self.sparse, x):
            given = x.sparse.new_ones(len(SPARSE_MODULES)) if weights is None else weights
            return sparse_side(
                self.sparse, self.norm_sparse, self._heads, self._n_s, x.sparse.transpose(0, 1), merged, given
            )
        sparse = _sum(self.sparse, x, SPARSE_MODULES, weights)
        further = merged.unflatten(1, (self._merged, -1))
        vectors = self.norm_sparse(torch.cat([sparse.transpose(0, 1), further.transpose(0, 1)]))
        return vectors, factorization_machine(sparse)


def factorization_machine(vectors: Tensor) -> Tensor:
    """Sum the elementwise products of all pairs: (B, n, dim_s) → (B, dim_s), in O(n) (Rendle, 2010, lemma 3.1)."""
    return 0.5 * (vectors.sum(1).square() - vectors.square().sum(1))


def _takes_kernels(modules: nn.ModuleDict, x: BlockInput) -> bool:
    watched = any(module._forward_hooks for module in modules.values())  # by nn.probe
    return vector_products.has_kernels(x.sparse) and not watched and _KNOWN.issuperset(map(type, modules.values()))


def _sum(modules: nn.ModuleDict, x: BlockInput, order: tuple[str, ...], weights: Tensor | None) -> Tensor:
    outputs = [modules[name](x) for name in order if name in modules]
    if weights is None:
        return sum(outputs[1:], outputs[0])
    total, *others = outputs
    total = weights[0] * total
    for weight, output in zip(weights[1:].unbind(), others, strict=True):
        total = torch.addcmul(total, weight, output)
    return total
