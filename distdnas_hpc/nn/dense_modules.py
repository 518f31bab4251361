"""The five dense interaction modules, op_d (paper §III-A; DESIGN §4): each gives (B, dim_d)."""

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.block_input import BlockInput, Shape
from distdnas_hpc.nn.middle_linear import MiddleLinear
from distdnas_hpc.nn.products import Linear
from distdnas_hpc.nn.vector_products import pair_products


class Identity(nn.Module):
    """X_d as it is, projected where its width is not dim_d."""

    def __init__(self, shape: Shape, model: Model) -> None:
        super().__init__()
        self.project = _to_dim_d(shape, model)

    def forward(self, x: BlockInput) -> Tensor:
        """Return (B, dim_d)."""
        return self.project(x.dense)


class LinearModule(nn.Module):
    """ReLU(W X_d + b)."""

    def __init__(self, shape: Shape, model: Model) -> None:
        super().__init__()
        self.linear = Linear(shape.width, model.dim_d)

    def forward(self, x: BlockInput) -> Tensor:
        """Return (B, dim_d)."""
        return torch.relu(self.linear(x.dense))


class DotProduct(nn.Module):
    """Pairwise inner products of the sparse vectors and the projected dense vector, projected to dim_d (DLRM).

    The sparse input is first mapped along the middle axis to k = round(√(2·dim_d)) vectors, so that there are about
    dim_d products whatever the number of inputs: the strict lower triangle of (k+1)×(k+1).
    """

    def __init__(self, shape: Shape, model: Model) -> None:
        super().__init__()
        vectors = round((2 * model.dim_d) ** 0.5)
        self.dense = Linear(shape.width, model.dim_s)
        self.sparse = MiddleLinear(shape.vectors, vectors)
        self.project = Linear(vectors * (vectors + 1) // 2, model.dim_d)

    def forward(self, x: BlockInput) -> Tensor:
        """Return (B, dim_d)."""
        vectors = torch.cat([self.dense(x.dense).unsqueeze(0), self.sparse(x.sparse).transpose(0, 1)])
        return self.project(pair_products(vectors))


class CrossNet(nn.Module):
    """DCN-v2's gate on two sources: x_left ⊙ (W x_right + b) + x_right (Wang et al., 2021, eq. 1)."""

    def __init__(self, shape: Shape, model: Model) -> None:
        super().__init__()
        self.gate = Linear(model.dim_d, model.dim_d)

    def forward(self, x: BlockInput) -> Tensor:
        """Return (B, dim_d)."""
        return torch.addcmul(x.right, x.left, self.gate(x.right))


class PIN(nn.Module):
    """Polynomial interaction x ⊙ (W x0 + 1), x0 the stem's output (Yan & Li, 2020, xDeepInt, eq. 3)."""

    def __init__(self, shape: Shape, model: Model) -> None:
        super().__init__()
        self.project = _to_dim_d(shape, model)
        self.polynomial = Linear(model.dim_d, model.dim_d, bias=False)

    def forward(self, x: BlockInput) -> Tensor:
        """Return (B, dim_d)."""
        projected = self.project(x.dense)
        return torch.addcmul(projected, projected, self.polynomial(x.stem))


def _to_dim_d(shape: Shape, model: Model) -> nn.Module:
    return nn.Identity() if shape.width == model.dim_d else Linear(shape.width, model.dim_d)


DENSE = {"identity": Identity, "linear": LinearModule, "dot_product": DotProduct, "crossnet": CrossNet, "pin": PIN}
"""Class of each name in `architecture.DENSE_MODULES`."""
