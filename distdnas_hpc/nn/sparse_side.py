"""A choice block's sparse side on CPUs as one operation of torch's, by the kernels of `nn.sparse_kernels`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distdnas_hpc.nn.architecture import SPARSE_MODULES
from distdnas_hpc.nn.sparse_kernels import sparse_backward, sparse_forward
from distdnas_hpc.nn.vector_products import arrays

_ENCODER = ("attention.key_value", "attention.out", "norm_attention", "feed_forward.0", "norm_feed_forward")
LAYERS = {
    "identity3d": ("project",),
    "linear3d": ("project", "linear"),
    "transformer": ("project", *_ENCODER, "attention.query", "feed_forward.2"),
    "embed_fc": ("linear",),
    "pma": _ENCODER,
}
"""Of each module the layers with weights, in the order in which the kernels read them."""


def sparse_side(
    modules: nn.ModuleDict, norm: nn.LayerNorm, heads: int, n_s: int, x: Tensor, merged: Tensor, q: Tensor
) -> tuple[Tensor, Tensor]:
    """Return a block's sparse output, and the factorization machine of its modules' sum (`nn.sparse_kernels`).

    Parameters
    ----------
    modules : kept ones, by name.
    norm : of the output's vectors.
    x : (m, B, dim_s), the sparse input.
    merged : (B, merged·dim_s), further vectors.
    q : (5,), mixing weights.

    Returns
    -------
    (n_s + merged, B, dim_s) and (B, dim_s).
    """
    seeds = queries = x.new_empty(0, x.shape[-1])
    if "pma" in modules:
        pma: Any = modules["pma"]
        seeds = pma.seeds[0]
        queries = pma.attention.query(seeds)
    weights = *_weights(modules), norm.weight, norm.bias
    kept = tuple(name in modules for name in SPARSE_MODULES)
    y, machine = _SparseSide.apply(heads, n_s, kept, x, merged, q, seeds, queries, *weights)  # type: ignore[no-untyped-call]
    return y, machine


def _weights(modules: nn.ModuleDict) -> Iterator[Tensor]:
    for name in SPARSE_MODULES:
        if name in modules:
            for layer in LAYERS[name]:
                yield from modules[name].get_submodule(layer).parameters()


class _SparseSide(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        heads: int,
        n_s: int,
        kept: tuple[bool, ...],
        x: Tensor,
        merged: Tensor,
        q: Tensor,
        seeds: Tensor,
        queries: Tensor,
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        _, rows, dim_s = x.shape
        flat = torch.cat([weight.flatten() for weight in weights])
        inputs = *(one.contiguous() for one in (x, merged.unsqueeze(0), seeds, queries)), flat, q.contiguous()
        sums, machine = x.new_empty(n_s, rows, dim_s), x.new_empty(1, rows, dim_s)
        y = x.new_empty(n_s + merged.shape[1] // dim_s, rows, dim_s)
        sparse_forward(heads, np.array(kept), *arrays(*inputs, sums, y, machine))
        ctx.save_for_backward(*inputs, sums)
        ctx.settings = heads, np.array(kept)
        ctx.shapes = [weight.shape for weight in weights]
        return y, machine[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        x, flat = saved[0], saved[4]
        of_x, of_weights = ctx.needs_input_grad[3], any(ctx.needs_input_grad[6:])
        found = [torch.empty_like(one) for one in saved[:6]]
        if not (of_x or of_weights):
            found[0] = x.new_empty(len(x), 0, x.shape[2])
        if not of_weights:
            found[4] = flat[:0]
        of_y, of_machine = gradients[0].contiguous(), gradients[1].contiguous().unsqueeze(0)
        sparse_backward(*ctx.settings, *arrays(*saved, of_y, of_machine, *found))
        to_x, to_merged, to_seeds, to_queries, to_flat, to_q = found
        of_inputs = None, None, None, to_x if of_x else None, to_merged[0], to_q
        if not of_weights:
            return *of_inputs, *[None] * (len(ctx.needs_input_grad) - len(of_inputs))
        parts = to_flat.split([shape.numel() for shape in ctx.shapes])
        return *of_inputs, to_seeds, to_queries, *map(Tensor.view, parts, ctx.shapes)
