"""DeepFM (Guo et al., 2017, eqs. 1-4) at the dimensions of the paper's Table I."""

from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines.inputs import FirstOrder, Vectors, mlp
from distdnas_hpc.nn.block import factorization_machine
from distdnas_hpc.nn.products import Linear


class DeepFM(nn.Module):
    """A factorization machine and an MLP on the same vectors: w·x + Σ_{i<j} ⟨v_i, v_j⟩ + y_DNN.

    The dense features are one of the sparse + 1 vectors, as in DLRM, whose MLP has 27·16 = 432 inputs here too; that
    gives the paper's MACs.
    """

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.first_order = FirstOrder(model, dense, sparse)
        self.vectors = Vectors(model, dense)
        self.deep = mlp((sparse + 1) * model.dim_s, model)
        self.head = Linear(model.baseline_width, 1)

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B,) of dense features (B, dense) and embeddings (B, sparse, dim_s)."""
        vectors = self.vectors(dense, embedded).transpose(0, 1)
        pairs = factorization_machine(vectors).sum(1)
        deep = self.head(self.deep(vectors.flatten(1))).squeeze(1)
        return self.first_order(dense, embedded) + pairs + deep
