"""The five sparse interaction modules, op_s (paper §III-A; DESIGN §4): each gives (B, N_s, dim_s).

Inside they hold the vectors as (vectors, B, dim_s), contiguous, and what they return is a transposed view of that: so
neither products along the middle axis nor those along the last one nor a concatenation of vectors copies anything.
"""

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.block_input import BlockInput, Shape
from distdnas_hpc.nn.middle_linear import MiddleLinear
from distdnas_hpc.nn.products import Linear
from distdnas_hpc.nn.vector_products import attention


class Identity3d(nn.Module):
    """X_s as it is, projected along the middle axis where it has not N_s vectors."""

    def __init__(self, shape: Shape, model: Model) -> None:
        super().__init__()
        self.project = _to_n_s(shape, model)

    def forward(self, x: BlockInput) -> Tensor:
        """Return (B, N_s, dim_s)."""
        return self.project(x.sparse)


class Linear3d(nn.Module):
    """ReLU of a Linear over the embedding axis, the same for every vector."""

    def __init__(self, shape: Shape, model: Model) -> None:
        super().__init__()
        self.project = _to_n_s(shape, model)
        self.linear = Linear(model.dim_s, model.dim_s)

    def forward(self, x: BlockInput) -> Tensor:
        """Return (B, N_s, dim_s)."""
        return torch.relu(self.linear(self.project(x.sparse).transpose(0, 1))).transpose(0, 1)


class Transformer(nn.Module):
    """An encoder layer: self-attention and feed-forward, a residual and LayerNorm after each (Vaswani et al., 2017)."""

    def __init__(self, shape: Shape, model: Model) -> None:
        super().__init__()
        self.project = _to_n_s(shape, model)
        self.attention = MultiHeadAttention(model.dim_s, model.heads)
        self.norm_attention = nn.LayerNorm(model.dim_s)
        self.feed_forward = nn.Sequential(Linear(model.dim_s, model.dim_s), nn.ReLU(), Linear(model.dim_s, model.dim_s))
        self.norm_feed_forward = nn.LayerNorm(model.dim_s)

    def forward(self, x: BlockInput) -> Tensor:
        """Return (B, N_s, dim_s)."""
        vectors = self.project(x.sparse).transpose(0, 1)
        vectors = self.norm_attention(vectors + self.attention(vectors, vectors))
        return self.norm_feed_forward(vectors + self.feed_forward(vectors)).transpose(0, 1)


class EmbedFC(nn.Module):
    """A Linear over the middle axis."""

    def __init__(self, shape: Shape, model: Model) -> None:
        super().__init__()
        self.linear = MiddleLinear(shape.vectors, model.n_s)

    def forward(self, x: BlockInput) -> Tensor:
        """Return (B, N_s, dim_s)."""
        return self.linear(x.sparse)


class PMA(nn.Module):
    """Set Transformer's pooling: N_s learned seed vectors attend to the sparse input (Lee et al., 2019, §3.2)."""

    def __init__(self, shape: Shape, model: Model) -> None:
        super().__init__()
        self.seeds = nn.Parameter(torch.empty(1, model.n_s, model.dim_s))
        nn.init.xavier_uniform_(self.seeds)
        self.attention = MultiHeadAttention(model.dim_s, model.heads)
        self.norm_attention = nn.LayerNorm(model.dim_s)
        self.feed_forward = nn.Sequential(Linear(model.dim_s, model.dim_s), nn.ReLU())
        self.norm_feed_forward = nn.LayerNorm(model.dim_s)

    def forward(self, x: BlockInput) -> Tensor:
        """Return (B, N_s, dim_s)."""
        seeds = self.seeds.transpose(0, 1).expand(
            -1, x.sparse.shape[0], -1
        )  # not len: torch.export would take it for constant
        vectors = self.norm_attention(seeds + self.attention(seeds, x.sparse.transpose(0, 1)))
        return self.norm_feed_forward(vectors + self.feed_forward(vectors)).transpose(0, 1)


class MultiHeadAttention(nn.Module):
    """Projections to queries, keys and values, attention in each head, and a projection of all heads."""

    def __init__(self, dim_s: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = Linear(dim_s, dim_s)
        self.key_value = Linear(dim_s, 2 * dim_s)
        self.out = Linear(dim_s, dim_s)

    def forward(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """Let queries (n, B, dim_s) attend to vectors (m, B, dim_s); returns (n, B, dim_s)."""
        return self.out(attention(self.query(queries), self.key_value(vectors), self.heads))


def _to_n_s(shape: Shape, model: Model) -> nn.Module:
    return nn.Identity() if shape.vectors == model.n_s else MiddleLinear(shape.vectors, model.n_s)


SPARSE = {
    "identity3d": Identity3d,
    "linear3d": Linear3d,
    "transformer": Transformer,
    "embed_fc": EmbedFC,
    "pma": PMA,
}
"""Class of each name in `architecture.SPARSE_MODULES`."""
