"""The step of the bilevel search: w and the architecture weights A, B, in three ways (paper §IV-A, Algorithm 1).

    w*(A, B) = argmin_w LogLoss(w, A, B) on one part of the day's batches,
    min_{A, B} LogLoss(w*(A, B), A, B) + R(A, B) on the other part.

The ways differ in what stands for w* (Liu et al., 2019, DARTS, §2.3).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits

from distdnas_hpc.config import Config
from distdnas_hpc.data.feed import Batch
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.network import Mixing
from distdnas_hpc.nn.optim import Optimizers
from distdnas_hpc.search.weights import ArchitectureWeights

BATCHES = {"first_order": 2, "second_order": 2, "joint": 1}
"""Batches that a step takes: one for w and one for A and B, or one for all."""

RADIUS = 0.01
"""How far from w the Hessian-vector product looks to both sides, as DARTS (§2.3, footnote 2): ε = 0.01 / ‖v‖."""


class Losses(NamedTuple):
    """Scalars on the device, without gradients: LogLoss of w's batch, LogLoss of A's and B's batch, and R."""

    w: Tensor
    architecture: Tensor
    regularisation: Tensor


@dataclass(frozen=True)
class Bilevel:
    """Takes steps on a model and its architecture weights; `search.bilevel` chooses how.

    Attributes
    ----------
    importance : s of dense and sparse modules, (N, 5) each, for R.
    gumbel : source of the Gumbel noise; each batch draws its own, w's batch first.
    """

    config: Config
    model: CTRModel
    weights: ArchitectureWeights
    w_optimizers: Optimizers
    architecture_optimizer: torch.optim.Optimizer
    importance: Mixing
    gumbel: torch.Generator

    def step(self, batches: Sequence[Batch], temperature: float, scale: float, *, w_alone: bool = False) -> Losses:
        """Take a step at temperature λ on as many batches as `BATCHES` says, w's first.

        Parameters
        ----------
        scale : 0 to 1, the warm-up; factor of every learning rate.
        w_alone : A and B stay as they are, as at the beginning of a search with `search.architecture_after`.
        """
        if w_alone:
            return self.only_w(*batches, temperature=temperature, scale=scale)
        ways: dict[str, Callable[..., Losses]] = {
            "first_order": self.first_order,
            "second_order": self.second_order,
            "joint": self.joint,
        }
        return ways[self.config.search.bilevel](*batches, temperature=temperature, scale=scale)

    def only_w(self, *batches: Batch, temperature: float, scale: float) -> Losses:
        """Step w on each batch in turn: while A and B don't learn, nothing has to be kept from w."""
        losses = [self._step_w(batch, temperature, scale) for batch in batches]
        return Losses(losses[0], losses[-1], self._regularisation().detach())

    def first_order(self, w_batch: Batch, architecture_batch: Batch, *, temperature: float, scale: float) -> Losses:
        """Step w, then A and B at the w that this gives, taken as w*: two passes forward and backward."""
        # w minimises LogLoss on its own part of the day, A and B held fixed.
        loss_w = self._step_w(w_batch, temperature, scale)

        # A and B minimise LogLoss + R on the other part, w held fixed: no gradient of w is computed.
        with self._constant_model():
            loss = self._logloss(architecture_batch, self.weights.sample(temperature, self.gumbel))
        regularisation = self._regularisation()
        self._step_architecture(torch.autograd.grad(loss + regularisation, self._logits), scale)
        return Losses(loss_w, loss.detach(), regularisation.detach())

    def second_order(self, w_batch: Batch, architecture_batch: Batch, *, temperature: float, scale: float) -> Losses:
        """Step A and B by the gradient through an unrolled step of w, then w (DARTS, eq. 6 to 8).

        w* is taken to be w' = w - ξ ∇_w L_w(w, A), one step of plain SGD as in DARTS, and so

            ∇_A [L_A(w', A) + R(A)] = ∂_A L_A(w', A) + ∇R(A) - ξ ∇²_{A,w} L_w(w, A) · v,   v = ∇_{w'} L_A(w', A),
            ∇²_{A,w} L_w(w, A) · v ≈ [∂_A L_w(w + εv, A) - ∂_A L_w(w - εv, A)] / 2ε,         ε = 0.01 / ‖v‖.

        What this project chooses: w is the interaction network's weights, and ξ their current learning rate. Adam,
        which steps w for real, is not unrolled. Embeddings stay where they are in w': their steps are Adagrad's, at a
        rate of their own, on rows that the other batch mostly does not have, and copies of the tables would double
        the memory of a task. ∇_w L_w(w, A) is then also the gradient that w is stepped by, so w and A step from the
        same point with the same noise, where DARTS computes it anew after its step of A.

        It costs four passes forward and backward, twice first order, and memory for three copies of the network's
        weights (w', v, w ± εv). w itself is never changed on the way.
        """
        self.w_optimizers.zero_grad()
        w_mixing = self.weights.sample(temperature, self.gumbel)
        loss_w = self._logloss(w_batch, Mixing(w_mixing.dense.detach(), w_mixing.sparse.detach()))
        loss_w.backward()

        w = dict(self.model.network.named_parameters(prefix="network"))
        xi = scale * self.config.optimizer.dense_lr
        unrolled = {name: (p.detach() - xi * p.grad).requires_grad_() for name, p in w.items() if p.grad is not None}
        mixing = self.weights.sample(temperature, self.gumbel)
        with self._constant_model():
            loss = self._logloss(architecture_batch, mixing, unrolled)
        regularisation = self._regularisation()
        gradients = torch.autograd.grad(loss + regularisation, [*self._logits, *unrolled.values()])
        direct, v = gradients[: len(self._logits)], dict(zip(unrolled, gradients[len(self._logits) :], strict=True))

        length = torch.stack([part.norm() for part in v.values()]).norm()
        epsilon = RADIUS / length.clamp(min=torch.finfo(length.dtype).tiny)  # v = 0 gives 0 below, not nan
        with self._constant_model():
            above, below = (
                torch.autograd.grad(
                    self._logloss(w_batch, w_mixing, {name: w[name].detach() + side * epsilon * v[name] for name in v}),
                    self._logits,
                    retain_graph=True,  # of the mixing weights, which both sides share
                )
                for side in (1, -1)
            )
        through_w = [(a - b) / (2 * epsilon) for a, b in zip(above, below, strict=True)]
        self._step_architecture([d - xi * t for d, t in zip(direct, through_w, strict=True)], scale)
        self.w_optimizers.step(scale)
        return Losses(loss_w.detach(), loss.detach(), regularisation.detach())

    def joint(self, batch: Batch, *, temperature: float, scale: float) -> Losses:
        """Step w, A and B on one batch: one pass forward and backward, and every batch of the day for both.

        This is no bilevel optimisation: A and B are fitted to the rows that w is fitted to.
        """
        self.w_optimizers.zero_grad()
        self.architecture_optimizer.zero_grad()
        loss = self._logloss(batch, self.weights.sample(temperature, self.gumbel))
        regularisation = self._regularisation()
        (loss + regularisation).backward()
        self.w_optimizers.step(scale)
        self._step_architecture([logits.grad for logits in self._logits], scale)
        return Losses(loss.detach(), loss.detach(), regularisation.detach())

    def _step_w(self, batch: Batch, temperature: float, scale: float) -> Tensor:
        """Step w on a batch, A and B held fixed; return its LogLoss before."""
        self.w_optimizers.zero_grad()
        with torch.no_grad():
            mixing = self.weights.sample(temperature, self.gumbel)
        loss = self._logloss(batch, mixing)
        loss.backward()
        self.w_optimizers.step(scale)
        return loss.detach()

    @property
    def _logits(self) -> tuple[Tensor, ...]:
        return tuple(self.weights.parameters())

    def _logloss(self, batch: Batch, mixing: Mixing, network: dict[str, Tensor] | None = None) -> Tensor:
        """Return the mean LogLoss of a batch; `network` are weights, by their names in the model, to take instead."""
        inputs, options = (batch.dense, batch.sparse), {"mixing": mixing}
        logits = functional_call(self.model, network, inputs, options) if network else self.model(*inputs, **options)
        return binary_cross_entropy_with_logits(logits, batch.label)

    @contextmanager
    def _constant_model(self) -> Iterator[None]:
        """Let forward passes take w and embeddings as constants, and leave out what only their gradients would need."""
        self.model.requires_grad_(False)
        try:
            yield
        finally:
            self.model.requires_grad_(True)

    def _regularisation(self) -> Tensor:
        return self.weights.regularisation(self.importance, self.config.search.gamma)

    def _step_architecture(self, gradients: Iterable[Tensor | None], scale: float) -> None:
        for logits, gradient in zip(self._logits, gradients, strict=True):
            logits.grad = gradient
        self.architecture_optimizer.param_groups[0]["lr"] = scale * self.config.search.architecture_lr
        self.architecture_optimizer.step()
