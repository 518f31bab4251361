"""Embeddings and an interaction network: a complete CTR model."""

from typing import Literal

import torch
from torch import Tensor, nn

from distdnas_hpc.nn import row_parallel
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.network import Mixing


class CTRModel(nn.Module):
    """The network's logit of a row's features.

    Parameters
    ----------
    precision : bf16 has a GPU multiply in bfloat16 where that is known to do no harm, forward and backward (torch's
        autocast): products of matrices, not softmax, norms and losses. TF32 is a switch of the whole process,
        which a task sets when it chooses its device.
    """

    def __init__(
        self, embedding: Embedding, network: nn.Module, precision: Literal["float32", "tf32", "bf16"] = "float32"
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.network = network
        self._bf16 = precision == "bf16"

    def forward(self, dense: Tensor, sparse: Tensor, mixing: Mixing | None = None) -> Tensor:
        """Return logits (B,) of dense features (B, D) and ids (B, F); `mixing` is for a supernet."""
        embedded = self.embedding(sparse)
        with torch.autocast(dense.device.type, torch.bfloat16, enabled=self._bf16 and dense.device.type == "cuda"):
            logits = row_parallel.forward(self.network, dense, embedded, mixing)
        return logits.to(embedded.dtype)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, those of looked-up embeddings too."""
        super().zero_grad(set_to_none)
        self.embedding.gradients.clear()
