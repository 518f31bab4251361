"""Optimizers of a model's weights (paper §V-A): exact Adagrad for embeddings, Adam for everything else."""

from typing import Any

import torch
from torch import nn

from distdnas_hpc.config import Optimizer
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.row_adagrad import RowAdagrad


class Optimizers:
    """Both optimizers of a model as one; no weight decay.

    Adagrad is exact: a row's sum of squares grows by the square of its whole gradient in a batch, however often the
    row occurs in it. The network's gradient is clipped by its global norm where `settings.clip_norm` says so (Pascanu
    et al., 2013); nothing of it waits for the device.

    Attributes
    ----------
    embedding, network : Adagrad of the embeddings and Adam of the rest.
    """

    def __init__(self, model: CTRModel, settings: Optimizer) -> None:
        self.embedding = RowAdagrad(model.embedding, lr=settings.embedding_lr, backend=settings.embedding_backend)
        self.network = torch.optim.Adam(model.network.parameters(), lr=settings.dense_lr, fused=True)
        self._optimizers: dict[str, tuple[torch.optim.Optimizer, float]] = {
            "embedding": (self.embedding, settings.embedding_lr),
            "network": (self.network, settings.dense_lr),
        }
        self._clipped = list(model.network.parameters())
        self._clip_norm = settings.clip_norm

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for optimizer, _ in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def step(self, scale: float) -> None:
        """Take a step at `scale` times the learning rates."""
        if self._clip_norm is not None:
            nn.utils.clip_grad_norm_(self._clipped, self._clip_norm)
        for optimizer, learning_rate in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = scale * learning_rate
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both."""
        return {name: optimizer.state_dict() for name, (optimizer, _) in self._optimizers.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, of optimizers of the same model on any device."""
        for name, (optimizer, _) in self._optimizers.items():
            optimizer.load_state_dict(state[name])


def warmup(step: int, warmup_steps: int) -> float:
    """Return the factor of the learning rates in a step (from 1): linear from 0 to 1 at `warmup_steps`, then 1."""
    return min(1.0, step / warmup_steps) if warmup_steps else 1.0
