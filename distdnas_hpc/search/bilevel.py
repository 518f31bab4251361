"""The two steps of the bilevel search, first order (paper §IV-A, Algorithm 1)."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from distdnas_hpc.config import Config
from distdnas_hpc.data.feed import Batch
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.network import Mixing
from distdnas_hpc.nn.optim import Optimizers
from distdnas_hpc.search.weights import ArchitectureWeights


class Bilevel:
    """A supernet's w and the architecture weights A, B with their optimizers.

    Parameters
    ----------
    model : of the supernet.
    importance : s of dense and sparse modules, (N, 5) each, on the model's device.
    gumbel : draws the mixing weights.
    """

    def __init__(
        self,
        model: CTRModel,
        weights: ArchitectureWeights,
        importance: Mixing,
        config: Config,
        gumbel: torch.Generator,
    ) -> None:
        self.model = model
        self.weights = weights
        self.w_optimizers = Optimizers(model, config.optimizer)
        self.architecture_optimizer = torch.optim.Adam(weights.parameters(), lr=config.search.architecture_lr)
        self._importance = importance
        self._settings = config.search
        self._gumbel = gumbel

    def train_w(self, batch: Batch, temperature: float, scale: float) -> Tensor:
        """Let w minimise LogLoss, A and B held fixed, at `scale` times the learning rates; return the loss."""
        self.w_optimizers.zero_grad()
        with torch.no_grad():
            mixing = self.weights.sample(temperature, self._gumbel)
        loss = self._log_loss(batch, mixing)
        loss.backward()
        self.w_optimizers.step(scale)
        return loss.detach()

    def train_architecture(self, batch: Batch, temperature: float, scale: float) -> tuple[Tensor, Tensor]:
        """Let A and B minimise LogLoss + R, w held fixed: no gradient of w is computed; return both terms."""
        # With w as constants, the passes leave out what only the gradients of w and of the embeddings need.
        self.model.requires_grad_(False)
        loss = self._log_loss(batch, self.weights.sample(temperature, self._gumbel))
        self.model.requires_grad_(True)
        regularisation = self.weights.regularisation(self._importance, self._settings.gamma)
        logits = list(self.weights.parameters())
        for parameter, gradient in zip(logits, torch.autograd.grad(loss + regularisation, logits), strict=True):
            parameter.grad = gradient
        self.architecture_optimizer.param_groups[0]["lr"] = scale * self._settings.architecture_lr
        self.architecture_optimizer.step()
        return loss.detach(), regularisation.detach()

    def _log_loss(self, batch: Batch, mixing: Mixing) -> Tensor:
        return binary_cross_entropy_with_logits(self.model(batch.dense, batch.sparse, mixing=mixing), batch.label)
