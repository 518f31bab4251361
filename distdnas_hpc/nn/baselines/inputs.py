"""What the baselines read, dense features and embeddings joined in one of two ways, and the MLPs on it."""

import itertools

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.products import Linear


class Columns(nn.Module):
    """x0 = [ReLU(W x_d + b), e_1, …, e_F]: the dense features through one layer, beside all embeddings.

    Attributes
    ----------
    width : of x0, baseline_width + F·dim_s.
    """

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.dense = Linear(dense, model.baseline_width)
        self.width = model.baseline_width + sparse * model.dim_s

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Join (B, dense) and (B, sparse, dim_s) to (B, width)."""
        return torch.cat([torch.relu(self.dense(dense)), embedded.flatten(1)], dim=1)


class Vectors(nn.Module):
    """The dense features as one more vector: dense → baseline_width → dim_s, before the embeddings (as DLRM does)."""

    def __init__(self, model: Model, dense: int) -> None:
        super().__init__()
        width = model.baseline_width
        self.bottom = nn.Sequential(Linear(dense, width), nn.ReLU(), Linear(width, model.dim_s), nn.ReLU())

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Join (B, dense) and (B, sparse, dim_s) to (1 + sparse, B, dim_s), one vector after the other in memory."""
        return torch.cat([self.bottom(dense).unsqueeze(0), embedded.transpose(0, 1)])


class FirstOrder(nn.Module):
    """A weight of each token and each dense feature: w·x_d + Σ_f u_f·e_f + b.

    The weight of a token is read off its embedding, by a vector u_f of its column. As embeddings are free, so are these
    weights: any weights of tokens can be had, whatever u_f is not zero. It takes no second table, of 28 million more
    parameters; the paper's Params of DeepFM have no room for one either (docs/models.md).
    """

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.linear = Linear(dense + sparse * model.dim_s, 1)

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return (B,)."""
        return self.linear(torch.cat([dense, embedded.flatten(1)], dim=1)).squeeze(1)


def mlp(inputs: int, model: Model) -> nn.Sequential:
    """Return `baseline_layers` layers of `baseline_width` with ReLU (paper §V-A)."""
    widths = [inputs] + [model.baseline_width] * model.baseline_layers
    layers = [(Linear(n, m), nn.ReLU()) for n, m in itertools.pairwise(widths)]
    return nn.Sequential(*(module for layer in layers for module in layer))
