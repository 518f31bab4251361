"""Encoder layers on CPUs: one operation of torch's, by the kernels of `nn.encoder_kernels`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from distdnas_hpc.nn.encoder_kernels import encoder_backward, encoder_forward
from distdnas_hpc.nn.vector_products import arrays


def encode(x: Tensor, layers: Sequence[nn.Module], heads: int, seeds: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Return an encoder layer's output (n, B, dim_s) of vectors x (m, B, dim_s), where `vector_products.has_kernels`.

    Parameters
    ----------
    layers : Linear and LayerNorm: keys and values, output, norm after attention, feed-forward, norm after it; without
        seeds also queries and the second of the feed-forward.
    seeds : seeds and the queries that they make, (n, dim_s) each, which attend to x; None: x attends to x.
    """
    weights = torch.cat([weight.flatten() for layer in layers for weight in layer.parameters()])
    none = x.new_empty(0, x.shape[-1])
    found: Tensor = _Encoder.apply(x, *(seeds or (none, none)), weights, heads)  # type: ignore[no-untyped-call]
    return found


class _Encoder(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, seeds: Tensor, queries: Tensor, weights: Tensor, heads: int) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x, seeds, queries, weights)
        ctx.heads = heads
        y = x.new_empty(len(seeds) or len(x), *x.shape[1:])
        encoder_forward(heads, *arrays(x, seeds, queries, weights, y))
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        of_x, of_seeds, of_queries, of_weights = (torch.empty_like(one) for one in inputs)
        wanted = ctx.needs_input_grad[3]
        found = of_x, of_seeds, of_queries, of_weights if wanted else of_weights[:0]
        encoder_backward(ctx.heads, *arrays(*inputs, gradients[0].contiguous(), *found))
        return of_x, of_seeds, of_queries, of_weights if wanted else None, None
