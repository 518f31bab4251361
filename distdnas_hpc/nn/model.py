"""Embeddings and an interaction network: a complete CTR model."""

from typing import Any

from torch import Tensor, nn

from distdnas_hpc.nn.embedding import Embedding


class CTRModel(nn.Module):
    """The network's logit of a row's features."""

    def __init__(self, embedding: Embedding, network: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding
        self.network = network

    def forward(self, dense: Tensor, sparse: Tensor, **options: Any) -> Tensor:
        """Return logits (B,) of dense features (B, D) and ids (B, F); `options` (such as mixing) reach the network."""
        return self.network(dense, self.embedding(sparse), **options)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, those of looked-up embeddings too."""
        super().zero_grad(set_to_none)
        self.embedding.gradients.clear()
