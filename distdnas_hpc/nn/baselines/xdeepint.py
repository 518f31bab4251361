"""xDeepInt (Yan & Li, 2020, eq. 3) at the dimensions of the paper's Table I."""

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines.inputs import Columns, mlp
from distdnas_hpc.nn.products import Linear


class XDeepInt(nn.Module):
    """`baseline_layers` polynomial interactions x_{l+1} = x_l ⊙ (W x0 + 1) beside an MLP, met by one linear head.

    The MACs that the paper tells are those of DCN-v2: full weights on x0, one subspace, and its MLP.
    """

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.x0 = Columns(model, dense, sparse)
        width = self.x0.width
        self.interactions = nn.ModuleList(Linear(width, width, bias=False) for _ in range(model.baseline_layers))
        self.deep = mlp(width, model)
        self.head = Linear(width + model.baseline_width, 1)

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B,) of dense features (B, dense) and embeddings (B, sparse, dim_s)."""
        x0 = self.x0(dense, embedded)
        x = x0
        for interaction in self.interactions:
            x = torch.addcmul(x, x, interaction(x0))
        return self.head(torch.cat([x, self.deep(x0)], dim=1)).squeeze(1)
