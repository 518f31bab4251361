"""AutoInt (Song et al., 2019, eqs. 5-8) at the dimensions of the paper's Table I."""

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines.inputs import mlp
from distdnas_hpc.nn.middle_linear import MiddleLinear
from distdnas_hpc.nn.products import Linear
from distdnas_hpc.nn.vector_products import attention


class AutoInt(nn.Module):
    """Interacting layers of multi-head self-attention among vectors, then an MLP on them and the dense features.

    The embeddings are first mapped along the middle axis to N_s vectors, as in the supernet; the MLP reads N_s·dim_s +
    baseline_width inputs. The paper tells neither; its MACs and parameters do (docs/models.md).
    """

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.dense = Linear(dense, model.baseline_width)
        self.project = MiddleLinear(sparse, model.n_s)
        self.interacting = nn.Sequential(*(Interacting(model) for _ in range(model.baseline_layers)))
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
