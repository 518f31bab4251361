"""MaskNet (Wang et al., 2021, eqs. 6-13), the serial model, at the dimensions of the paper's baselines."""

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines.inputs import Columns
from distdnas_hpc.nn.products import Linear

REDUCTION = 2
"""r, units of a mask's hidden layer per unit of the mask."""


class MaskNet(nn.Module):
    """`baseline_layers` mask blocks, one on the other: each scales its input by a mask made from x0.

    The first block reads LayerNorm(x0), the others their predecessor's output; all masks are made from x0 as it is.
    """

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.x0 = Columns(model, dense, sparse)
        x0, width = self.x0.width, model.baseline_width
        self.norm = nn.LayerNorm(x0)
        inputs = [x0] + [width] * (model.baseline_layers - 1)
        self.blocks = nn.ModuleList(MaskBlock(x0, count, width) for count in inputs)
        self.head = Linear(width, 1)

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B,) of dense features (B, dense) and embeddings (B, sparse, dim_s)."""
        x0 = self.x0(dense, embedded)
        x = self.norm(x0)
        for block in self.blocks:
            x = block(x, x0)
        return self.head(x).squeeze(1)


class MaskBlock(nn.Module):
    """ReLU(LayerNorm(W (V_mask ⊙ x))), V_mask = W₂ ReLU(W₁ x0 + b₁) + b₂."""

    def __init__(self, x0: int, inputs: int, width: int) -> None:
        super().__init__()
        hidden = REDUCTION * inputs
        self.mask = nn.Sequential(Linear(x0, hidden), nn.ReLU(), Linear(hidden, inputs))
        self.hidden = Linear(inputs, width, bias=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Return (B, width) of (B, inputs) and (B, x0)."""
        return torch.relu(self.norm(self.hidden(self.mask(x0) * x)))
