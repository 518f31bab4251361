"""Wide & Deep (Cheng et al., 2016, eq. 3) at the dimensions of the paper's baselines, without hand-made crosses."""

from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines.inputs import Columns, FirstOrder, mlp
from distdnas_hpc.nn.products import Linear


class WideDeep(nn.Module):
    """The sum of first-order terms and of an MLP's logit: w·x + a_L·MLP(x0) + b."""

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.wide = FirstOrder(model, dense, sparse)
        self.x0 = Columns(model, dense, sparse)
        self.deep = mlp(self.x0.width, model)
        self.head = Linear(model.baseline_width, 1)

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B,) of dense features (B, dense) and embeddings (B, sparse, dim_s)."""
        deep = self.head(self.deep(self.x0(dense, embedded))).squeeze(1)
        return self.wide(dense, embedded) + deep
