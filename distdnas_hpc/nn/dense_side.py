"""A supernet block's dense side on CPUs as one operation of torch's: large products, and the kernels between them."""

from typing import Any

import torch
from torch import Tensor, nn

from distdnas_hpc.nn.architecture import DENSE_MODULES
from distdnas_hpc.nn.block_input import BlockInput
from distdnas_hpc.nn.dense_kernels import dot_product_backward, dot_product_forward, mix_backward, mix_forward
from distdnas_hpc.nn.lanes import LANES
from distdnas_hpc.nn.products import multiply
from distdnas_hpc.nn.vector_products import arrays

WIDE = ("identity.project", "linear.linear", "pin.project", "dot_product.dense")
"""Layers that read the block's dense input, in the order in which the kernels know their columns."""

OTHERS = ("dot_product.sparse", "dot_product.project", "crossnet.gate", "pin.polynomial")


def fits(modules: nn.ModuleDict, x: BlockInput) -> bool:
    """Whether these are all modules, those of a block after the first, of a width that the kernels can take."""
    dim_d = x.left.shape[1]
    return len(modules) == len(DENSE_MODULES) and x.dense.shape[1] == 2 * dim_d and dim_d % LANES == 0


def dense_side(modules: nn.ModuleDict, x: BlockInput, p: Tensor) -> Tensor:
    """Return Σ_j p_j · module_j(x), (B, dim_d), where `fits`.

    Parameters
    ----------
    modules : all of `DENSE_MODULES`.
    p : (5,), mixing weights.
    """
    weights = [weight for name in (*WIDE, *OTHERS) for weight in modules.get_submodule(name).parameters()]
    found: Tensor = _DenseSide.apply(  # type: ignore[no-untyped-call]
        x.dense.detach(), x.left, x.right, x.stem, x.sparse.transpose(0, 1), p, *weights
    )
    return found


class _DenseSide(torch.autograd.Function):
    """The gradient of the dense input, `both`, goes to `left` and `right`, of which it is made."""

    @staticmethod
    def forward(
        ctx: Any, both: Tensor, left: Tensor, right: Tensor, stem: Tensor, sparse: Tensor, p: Tensor, *weights: Tensor
    ) -> Tensor:
        wide_w, wide_b = torch.cat(weights[:8:2]), torch.cat(weights[1:8:2])
        middle_w, middle_b, project_w, project_b, gate_w, gate_b, polynomial_w = weights[8:]
        middle = torch.cat([middle_w.flatten(), middle_b])
        sparse, p = sparse.contiguous(), p.contiguous()

        wide = multiply(both, wide_w, wide_b)
        products = both.new_empty(len(both), project_w.shape[1])
        dot_product_forward(*arrays(sparse, wide, middle, products.unsqueeze(0)))
        dot = multiply(products, project_w, project_b)
        gate, polynomial = multiply(right, gate_w, gate_b), multiply(stem, polynomial_w)
        total = torch.empty_like(dot)
        mix_forward(*arrays(p, wide, dot, left, right, gate, polynomial, total))

        ctx.save_for_backward(both, left, right, stem, sparse, p, wide, products, dot, gate, polynomial)
        ctx.weights = wide_w, middle, project_w, gate_w, polynomial_w
        ctx.wide_sizes, ctx.middle_shape = [len(weight) for weight in weights[:8:2]], middle_w.shape
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        both, left, right, stem, sparse, p, wide, products, dot, gate, polynomial = ctx.saved_tensors
        wide_w, middle, project_w, gate_w, polynomial_w = ctx.weights
        stem_asked, weights_asked = ctx.needs_input_grad[3], any(ctx.needs_input_grad[6:])
        of_total = gradients[0].contiguous()

        of_p, of_wide = torch.empty_like(p), torch.empty_like(wide)
        of_left, of_right, of_gate, of_polynomial = (torch.empty_like(dot) for _ in range(4))
        inputs = p, wide, dot, left, right, gate, polynomial, of_total
        mix_backward(*arrays(*inputs, of_p, of_wide, of_left, of_right, of_gate, of_polynomial))

        of_products = multiply(of_total, (p[2] * project_w).t())
        of_sparse, of_middle = torch.empty_like(sparse), torch.empty_like(middle) if weights_asked else middle[:0]
        outer = of_products.unsqueeze(0)
        dot_product_backward(*arrays(sparse, wide, middle, outer, of_sparse, of_wide, of_middle))

        of_both = multiply(of_wide, wide_w.t())
        of_left += of_both[:, : dot.shape[1]]
        of_right += of_both[:, dot.shape[1] :]
        of_right += multiply(of_gate, gate_w.t())
        of_stem = multiply(of_polynomial, polynomial_w.t()) if stem_asked else None
        of_inputs = None, of_left, of_right, of_stem, of_sparse, of_p
        if not weights_asked:
            return *of_inputs, *[None] * (len(ctx.needs_input_grad) - len(of_inputs))

        wide_parts = (x.split(ctx.wide_sizes) for x in (multiply(of_wide.t(), both.t()), of_wide.sum(0)))
        of_middle_w, of_middle_b = of_middle.split([ctx.middle_shape.numel(), ctx.middle_shape[0]])
        return (
            *of_inputs,
            *(of_one for layer in zip(*wide_parts, strict=True) for of_one in layer),
            *(of_middle_w.view(ctx.middle_shape), of_middle_b),
            *(p[2] * multiply(of_total.t(), products.t()), p[2] * of_total.sum(0)),
            *(multiply(of_gate.t(), right.t()), of_gate.sum(0), multiply(of_polynomial.t(), stem.t())),
        )
