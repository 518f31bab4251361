"""DLRM (Naumov et al., 2019, §2.1) at the dimensions of the paper's Table I."""

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines.inputs import Vectors, mlp
from distdnas_hpc.nn.products import Linear
from distdnas_hpc.nn.vector_products import pair_products


class DLRM(nn.Module):
    """Pairwise inner products of embeddings and a projected dense vector, then an MLP.

    dense → width → dim_s, one of sparse + 1 vectors; their (sparse + 1)·sparse/2 products and the dense vector feed
    `baseline_layers` layers of `baseline_width` and a logit (DESIGN §8).
    """

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.vectors = Vectors(model, dense)
        self.top = mlp(model.dim_s + (sparse + 1) * sparse // 2, model)
        self.head = Linear(model.baseline_width, 1)

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B,) of dense features (B, dense) and embeddings (B, sparse, dim_s)."""
        vectors = self.vectors(dense, embedded)
        return self.head(self.top(torch.cat([vectors[0], pair_products(vectors)], dim=1))).squeeze(1)
