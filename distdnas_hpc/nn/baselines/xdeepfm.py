"""xDeepFM (Lian et al., 2018, eqs. 6, 8 and 10) at the dimensions of the paper's Table I."""

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines.inputs import Columns, FirstOrder, mlp
from distdnas_hpc.nn.products import Linear, product


class XDeepFM(nn.Module):
    """First-order terms, a compressed interaction network (CIN) of the embeddings and an MLP, added up."""

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.first_order = FirstOrder(model, dense, sparse)
        self.cin = CIN(sparse, model.baseline_layers)
        self.x0 = Columns(model, dense, sparse)
        self.deep = mlp(self.x0.width, model)
        self.head = Linear(self.cin.outputs + model.baseline_width, 1)

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B,) of dense features (B, dense) and embeddings (B, sparse, dim_s)."""
        both = torch.cat([self.cin(embedded), self.deep(self.x0(dense, embedded))], dim=1)
        return self.first_order(dense, embedded) + self.head(both).squeeze(1)


class CIN(nn.Module):
    """Layer k makes feature maps x_h = Σ_i Σ_j W_hij (x_i of layer k-1 ⊙ e_j), sums of each map leave (eqs. 6, 8).

    Every layer makes 2·sparse maps. As in the authors' code, one half goes on to the next layer and the other leaves;
    of the last layer both. That the paper's tables mean this width is what their MACs say (docs/models.md).

    Attributes
    ----------
    outputs : how many sums leave.
    """

    def __init__(self, sparse: int, layers: int) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.empty(2 * sparse, sparse * sparse) for _ in range(layers))
        for weight in self.weights:
            nn.init.xavier_uniform_(weight)
        self.outputs = (layers + 1) * sparse

    def forward(self, embedded: Tensor) -> Tensor:
        """Return (B, outputs) of embeddings (B, sparse, dim_s)."""
        rows, sparse, dim_s = embedded.shape
        first = embedded.transpose(0, 1).reshape(sparse, rows * dim_s)
        maps, sums = first, []
        for weight in self.weights:
            products = (maps.unsqueeze(1) * first).flatten(0, 1)
            maps, leaving = product(weight, products.t()).split(sparse)
            sums.append(leaving.unflatten(1, (rows, dim_s)).sum(2))
        sums.append(maps.unflatten(1, (rows, dim_s)).sum(2))
        return torch.cat(sums).t()
