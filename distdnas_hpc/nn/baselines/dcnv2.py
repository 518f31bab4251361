"""DCN-v2 (Wang et al., 2021, eq. 1), parallel and of full rank, at the dimensions of the paper's Table I."""

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines.inputs import Columns, mlp
from distdnas_hpc.nn.products import Linear


class DCNv2(nn.Module):
    """`baseline_layers` cross layers x_{l+1} = x0 ⊙ (W x_l + b) + x_l beside an MLP, met by one linear head."""

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.x0 = Columns(model, dense, sparse)
        width = self.x0.width
        self.cross = nn.ModuleList(Linear(width, width) for _ in range(model.baseline_layers))
        self.deep = mlp(width, model)
        self.head = Linear(width + model.baseline_width, 1)

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B,) of dense features (B, dense) and embeddings (B, sparse, dim_s)."""
        x0 = self.x0(dense, embedded)
        x = x0
        for gate in self.cross:
            x = torch.addcmul(x, x0, gate(x))
        return self.head(torch.cat([x, self.deep(x0)], dim=1)).squeeze(1)
