"""DLRM (Naumov et al., 2019) at the dimensions of the paper's Table I."""

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model


class DLRM(nn.Module):
    """Pairwise inner products of embeddings and a projected dense vector, then an MLP.

    dense → width → dim_s, one of sparse + 1 vectors; their (sparse + 1)·sparse/2 products and the dense vector feed
    `baseline_layers` layers of `baseline_width` and a logit (DESIGN §8).
    """

    lower: Tensor

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        width = model.baseline_width
        self.bottom = nn.Sequential(nn.Linear(dense, width), nn.ReLU(), nn.Linear(width, model.dim_s), nn.ReLU())
        rows, columns = torch.tril_indices(sparse + 1, sparse + 1, offset=-1, device="cpu")
        self.register_buffer("lower", rows * (sparse + 1) + columns, persistent=False)
        inputs = [len(rows) + model.dim_s] + [width] * (model.baseline_layers - 1)
        layers = [layer for count in inputs for layer in (nn.Linear(count, width), nn.ReLU())]
        self.top = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B,) of dense features (B, dense) and embeddings (B, sparse, dim_s)."""
        bottom = self.bottom(dense)
        vectors = torch.cat([bottom.unsqueeze(1), embedded], dim=1)
        products = torch.bmm(vectors, vectors.transpose(1, 2)).flatten(1).index_select(1, self.lower)
        return self.top(torch.cat([bottom, products], dim=1)).squeeze(1)
