"""Matrix products at the machine's speed: torch's own, or on CPUs oneDNN's.

On a CPU, torch multiplies float32 matrices by MKL, which takes its slow path on processors that are not Intel's: on an
AMD EPYC of 2025 (Zen 5) 58 GMAC/s a core, where oneDNN, which torch brings along for convolutions, reaches 128.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

LARGE = 4096
"""Elements of a product from which on oneDNN sums better than MKL over a long inner axis."""

FEW = 1 << 24
"""MACs of a product below which calling oneDNN takes longer than it saves; that decides how fast a row is served."""


def onednn_works() -> bool:
    """Whether oneDNN is there, behind an operation that torch keeps to itself and may change: it is tried."""
    try:
        a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]])
        sums = (_by_onednn(a, b, None), _by_onednn(a, b.t(), torch.ones(2)))
    except (AttributeError, RuntimeError, TypeError):
        return False
    return [found.tolist() for found in sums] == [[[11, 17]], [[14, 17]]]


def _by_onednn(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")
    return found


_ONEDNN = torch.backends.mkldnn.is_available() and onednn_works()


class Linear(nn.Linear):
    """torch's Linear with the product below."""

    def forward(self, input: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        return product(input.flatten(0, -2), self.weight, self.bias).unflatten(0, input.shape[:-1])


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a bᵀ + bias: (M, K) and (N, K) and (N,) → (M, N); the strides of a and b are free."""
    if not _ONEDNN or a.device.type != "cpu" or a.dtype != torch.float32 or torch.compiler.is_compiling():
        return linear(a, b, bias)
    if torch.is_grad_enabled():
        found: Tensor = _Product.apply(a, b, bias)  # type: ignore[no-untyped-call]
        return found
    return linear(a, b, bias) if len(a) * b.numel() < FEW else multiply(a, b, bias)


class _Product(torch.autograd.Function):
    """a bᵀ + bias by oneDNN, and of its gradients those that somebody asks for."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(a, b)
        return multiply(a, b, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        (gradient,) = gradients
        of_a, of_b, of_bias = ctx.needs_input_grad
        return (
            multiply(gradient, b.t()) if of_a else None,
            multiply(gradient.t(), a.t()) if of_b else None,
            gradient.sum(0) if of_bias else None,
        )


def multiply(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a bᵀ + bias in float32 on a CPU, without gradients."""
    # Both read across their rows: a sum over the batch, or a transposed operand. oneDNN is slow where little comes out.
    if not _ONEDNN or (a.stride(1) != 1 and len(b) * min(len(a), 64) < LARGE):
        return linear(a, b, bias)
    return _by_onednn(a, b, bias)
