"""Logistic regression on dense features and tokens, as it was before embeddings (Richardson et al., 2007, eq. 1)."""

from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines.inputs import FirstOrder


class LogisticRegression(nn.Module):
    """The first-order terms alone."""

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.first_order = FirstOrder(model, dense, sparse)

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B,) of dense features (B, dense) and embeddings (B, sparse, dim_s)."""
        return self.first_order(dense, embedded)
