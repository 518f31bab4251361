"""The steps of a training loop: resumed where the last attempt ended, stopped between two, watched for divergence."""

import functools
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, Protocol, TypeVar

import torch
from torch import Tensor, nn

from distdnas_hpc.checkpoint import Checkpoints
from distdnas_hpc.config import Checkpoint
from distdnas_hpc.errors import DivergedError
from distdnas_hpc.machine import arithmetic
from distdnas_hpc.nn.probe import Probe
from distdnas_hpc.stopping import HeldStops
from distdnas_hpc.trajectory import Trajectory, Trouble

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Part(Protocol):
    """What a checkpoint can hold: a model, an optimizer, a trajectory."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state: dict[str, Any], /) -> object:
        """Take over a state."""


class LossDiverged(Exception):  # noqa: N818 (it asks `diagnosed` to look closer, and never gets further)
    """A loss diverged; nobody knows yet by which module."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(f"LogLoss diverged at step {trouble.step} (day {trouble.day}): {trouble.what}")
        self.trouble = trouble


class Loop:
    """Runs over the steps of a single pass that can be interrupted at any moment and resumed exactly.

        loop = Loop(...)
        batches = feed.batches(loop.resume())
        with loop:
            for step in loop.steps():
                ...

    All that a step changes must be among `parts` (torch's own generators are added); then a resumed pass is the
    uninterrupted one bit for bit, where the device's arithmetic repeats itself. A checkpoint of a machine that may
    round otherwise is gone on from with a warning.

    Parameters
    ----------
    steps : of the whole pass.
    model : whose modules are watched when a loss diverges; one of the parts.
    suspect : None, or a loss that diverged when the pass was run before (see `diagnosed`): then the pass ends with the
        step in which it did, and writes no checkpoints.
    """

    def __init__(
        self,
        steps: int,
        checkpoints: Checkpoints,
        settings: Checkpoint,
        model: nn.Module,
        trajectory: Trajectory,
        parts: dict[str, Part | torch.Generator],
        suspect: Trouble | None,
    ) -> None:
        self._steps = steps
        self._checkpoints = checkpoints
        self._settings = settings
        self._model = model
        self._trajectory = trajectory
        self._parts: dict[str, Part | torch.Generator] = {
            **{"model": model, "trajectory": trajectory},
            **parts,
            **_generators(model),
        }
        self._suspect = suspect
        self._arithmetic = arithmetic(next(model.parameters()).device)
        self._done = self._written = 0
        self._clock = time.monotonic()
        self._stops = HeldStops()

    def __enter__(self) -> "Loop":
        self._stops.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._stops.__exit__(*error)

    def resume(self) -> int:
        """Go back to the newest checkpoint, if there is one; return how many steps are done."""
        found = self._checkpoints.newest()
        if found is not None:
            self._done, state = found
            self._written = self._done
            self._compare(state["arithmetic"])
            for name, part in self._parts.items():
                if isinstance(part, torch.Generator):
                    if name in state:  # a GPU's is not, where the last attempt had none
                        part.set_state(state[name].clone())
                else:
                    part.load_state_dict(_copy(state[name]))  # one part at a time, so that memory holds one twice
            log.info("going on after step %d of %d", self._done, self._steps)
        self._clock = time.monotonic()
        return self._done

    def steps(self, until: int | None = None) -> Iterator[int]:
        """Yield the steps that are left; between two of them the host does what is not the algorithm's.

        It waits for the device only where a checkpoint is written.

        Parameters
        ----------
        until : the last step for now: what comes then may take long, so a checkpoint is written first, if any are.
            None: the last of all.

        Raises
        ------
        LossDiverged, DivergedError : a loss did; see `diagnosed`.
        KeyboardInterrupt : told to stop; a checkpoint of the last step is written.
        """
        for step in range(self._done + 1, (until or self._steps) + 1):
            if self._suspect is not None and step == self._suspect.step:
                with Probe(self._model) as probe:
                    yield step
                raise DivergedError(self._verdict(self._suspect, probe.culprit()))
            yield step
            self._done = step
            stopping = self._stops.notice()
            if self._suspect is None:
                due = stopping or self._is_due() or (step == until and self._settings.wanted)
                if due:
                    self._trajectory.look()
                if self._trajectory.trouble is not None:
                    raise LossDiverged(self._trajectory.trouble)
                if due:
                    self._write()
            if stopping:
                self._stops.deliver()

    def _compare(self, before: dict[str, str | int]) -> None:
        """Warn when the checkpoint was written where sums may round otherwise."""
        now = self._arithmetic
        changed = [f"{key} {before.get(key)}, now {now.get(key)}" for key in now if before.get(key) != now.get(key)]
        if changed:
            log.warning(
                "the checkpoint comes from elsewhere (%s): the result is as good, but may differ in its last bits from "
                "an uninterrupted one",
                "; ".join(changed),
            )

    def _is_due(self) -> bool:
        minutes, steps = self._settings.minutes, self._settings.steps
        by_clock = minutes is not None and time.monotonic() - self._clock >= 60 * minutes
        return by_clock or (steps is not None and self._done % steps == 0)

    def _write(self) -> None:
        start = time.monotonic()
        if all(_is_finite(tensor) for tensor in self._model.state_dict().values()):
            state = {
                name: part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
                for name, part in self._parts.items()
            }
            self._checkpoints.write(self._done, state | {"arithmetic": self._arithmetic})
            self._written = self._done
            log.info("checkpoint of step %d written in %.1f s", self._done, time.monotonic() - start)
        else:  # the next loss will tell
            log.warning("no checkpoint of step %d: a weight is not finite", self._done)
        self._clock = time.monotonic()

    def _verdict(self, trouble: Trouble, culprit: str) -> str:
        begin = f"the checkpoint of step {self._written}" if self._written else "the start"
        return (
            f"{LossDiverged(trouble)}; {culprit}. Lower optimizer.dense_lr or set optimizer.clip_norm, in a new run "
            f"folder. All was well at {begin}."
        )


def diagnosed(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function with a Loop, so that a loss that diverges ends it with the name of the guilty module.

    A loss is read once a stretch, when the weights have been worse than useless for some steps. So the function is
    called again with `suspect`: it goes on from its last checkpoint, from before the trouble, to the very step, in
    which every module is watched. This costs at most the time between two checkpoints.

    Raises
    ------
    DivergedError : says step, day, loss and module.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except LossDiverged as error:
            log.warning("%s; looking for the module", error)
            kwargs["suspect"] = error.trouble
        # Not inside 'except': there the traceback would keep the first call's tables in memory.
        return function(*args, **kwargs)

    return run


def _generators(model: nn.Module) -> dict[str, torch.Generator]:
    generators = {"torch": torch.default_generator}
    device = next(model.parameters()).device
    if device.type == "cuda":
        generators["cuda"] = torch.cuda.default_generators[device.index or 0]
    return generators


def _copy(state: Any) -> Any:
    """Copy the tensors in nested dicts and lists."""
    if isinstance(state, Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {key: _copy(value) for key, value in state.items()}
    return [_copy(value) for value in state] if isinstance(state, list) else state


def _is_finite(tensor: Tensor) -> bool:
    """Whether no element is NaN or infinite, without a copy of it."""
    return all(bool(extreme.isfinite()) for extreme in torch.aminmax(tensor)) if tensor.numel() else True
