"""AutoInt (Song et al., 2019, eqs. 5-8) at the dimensions of the paper's Table I."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn import vector_products
from distdnas_hpc.nn.baselines.inputs import mlp
from distdnas_hpc.nn.interacting_kernels import interacting_backward, interacting_forward
from distdnas_hpc.nn.lanes import LANES
from distdnas_hpc.nn.middle_linear import MiddleLinear
from distdnas_hpc.nn.products import Linear
from distdnas_hpc.nn.vector_products import arrays, attention


class AutoInt(nn.Module):
    """Interacting layers of multi-head self-attention among vectors, then an MLP on them and the dense features.

    The embeddings are first mapped along the middle axis to N_s vectors, as in the supernet; the MLP reads N_s·dim_s +
    baseline_width inputs. The paper tells neither; its MACs and parameters do (docs/models.md).
    """

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.dense = Linear(dense, model.baseline_width)
        self.project = MiddleLinear(sparse, model.n_s)
        self.interacting = InteractingLayers(*(Interacting(model) for _ in range(model.baseline_layers)))
        self.top = mlp(model.baseline_width + model.n_s * model.dim_s, model)
        self.head = Linear(model.baseline_width, 1)

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B,) of dense features (B, dense) and embeddings (B, sparse, dim_s)."""
        vectors = self.interacting(self.project(embedded).transpose(0, 1)).transpose(0, 1)
        both = torch.cat([torch.relu(self.dense(dense)), vectors.flatten(1)], dim=1)
        return self.head(self.top(both)).squeeze(1)


class Interacting(nn.Module):
    """ReLU(attention of each head, side by side, + W_Res e).

    Scores are divided by the root of a head's size, which eq. 5 does not do; W_query can undo it.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.heads = model.heads
        self.query = Linear(model.dim_s, model.dim_s, bias=False)
        self.key_value = Linear(model.dim_s, 2 * model.dim_s, bias=False)
        self.residual = Linear(model.dim_s, model.dim_s, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return as many vectors as come, (n, B, dim_s)."""
        attended = attention(self.query(vectors), self.key_value(vectors), self.heads)
        return torch.relu(attended + self.residual(vectors))

    def weights(self) -> Tensor:
        """Return (4 dim_s, dim_s), as `nn.interacting_kernels` reads them."""
        scale = math.log2(math.e) / math.sqrt(self.query.in_features / self.heads)
        return torch.cat([scale * self.query.weight, self.key_value.weight, self.residual.weight])


class InteractingLayers(nn.Sequential):
    """Interacting layers one after the other; on CPUs all of them as one operation of torch's."""

    def forward(self, input: Tensor) -> Tensor:
        """Return as many vectors as come, (n, B, dim_s)."""
        layers: list[Any] = list(self)
        watched = any(layer._forward_hooks for layer in layers)  # by nn.probe
        if vector_products.has_kernels(input) and not watched:
            weights = torch.stack([layer.weights() for layer in layers])
            found: Tensor = _InteractingLayers.apply(layers[0].heads, input, weights)  # type: ignore[no-untyped-call]
            return found
        for layer in layers:
            input = layer(input)
        return input


class _InteractingLayers(torch.autograd.Function):
    """Keeps what goes into each layer, and nothing of what a layer computes of that."""

    @staticmethod
    def forward(ctx: Any, heads: int, x: Tensor, weights: Tensor) -> Tensor:
        n, rows, dim_s = x.shape
        kept = -(-rows // LANES) if any(ctx.needs_input_grad) else 1
        inputs, y = x.new_empty(kept, len(weights), n * dim_s, LANES), x.new_empty(x.shape)
        interacting_forward(heads, *arrays(x.contiguous(), weights, inputs, y))
        ctx.save_for_backward(weights, inputs)
        ctx.heads = heads
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor | None]:
        weights, inputs = ctx.saved_tensors
        of_y, weights_asked = gradients[0].contiguous(), ctx.needs_input_grad[2]
        of_x, of_weights = torch.empty_like(of_y), torch.empty_like(weights) if weights_asked else weights[:0]
        interacting_backward(ctx.heads, *arrays(weights, inputs, of_y, of_x, of_weights))
        return None, of_x, of_weights if weights_asked else None
