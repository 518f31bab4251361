"""Embeddings and an interaction network: a complete CTR model."""

from torch import Tensor, nn

from distdnas_hpc.nn import row_parallel
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.network import Mixing


class CTRModel(nn.Module):
    """The network's logit of a row's features."""

    def __init__(self, embedding: Embedding, network: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding
        self.network = network

    def forward(self, dense: Tensor, sparse: Tensor, mixing: Mixing | None = None) -> Tensor:
        """Return logits (B,) of dense features (B, D) and ids (B, F); `mixing` is for a supernet."""
        return row_parallel.forward(self.network, dense, self.embedding(sparse), mixing)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, those of looked-up embeddings too."""
        super().zero_grad(set_to_none)
        self.embedding.gradients.clear()
