"""Where the seconds of a training step go."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch

from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.optim import Optimizers


class Clock:
    """Adds up the seconds of a step's parts."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def watch(self, model: CTRModel, optimizers: Optimizers, *others: torch.optim.Optimizer) -> None:
        """Time the model's parts and the optimizers; what is left of a step is the backward pass."""
        for module, name in ((model.embedding, "embeddings"), (model, "forward")):
            enter, leave = self._hooks(name)
            module.register_forward_pre_hook(enter)
            module.register_forward_hook(leave)
        timed = [
            (optimizers.embedding, "embeddings"),
            *((other, "optimizer") for other in (optimizers.network, *others)),
        ]
        for optimizer, name in timed:
            enter, leave = self._hooks(name)
            optimizer.register_step_pre_hook(enter)
            optimizer.register_step_post_hook(leave)

    def _hooks(self, name: str) -> tuple[Callable[..., None], Callable[..., None]]:
        """Return what begins and ends a measurement; one inside another is taken off it."""
        began, of_others = 0.0, 0.0

        def enter(*_: Any) -> None:
            nonlocal began, of_others
            began, of_others = time.perf_counter(), self.total

        def leave(*_: Any) -> None:
            self.seconds[name] += time.perf_counter() - began - (self.total - of_others)

        return enter, leave

    @property
    def total(self) -> float:
        """All seconds so far."""
        return sum(self.seconds.values())
