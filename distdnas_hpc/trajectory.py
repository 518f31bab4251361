"""How losses go over a single pass: means over short stretches of steps, one row of a Parquet file each."""

import math
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from distdnas_hpc.storage import atomic_write

MOST_ROWS = 2000
"""A trajectory has about so many rows at most; each costs one host synchronisation, and no other step has any."""
LONGEST_STRETCH = 100
"""Steps after which losses are read in any case, so that one that diverges is noticed."""


class Trouble(NamedTuple):
    """A loss that is not finite or too high: at which step, of which day, and what it is, as words."""

    step: int
    day: int
    what: str


class Trajectory:
    """Gathers losses on the device, and reads them once a stretch.

    Parameters
    ----------
    steps : of the whole pass.
    losses : their names; those that begin with 'loss' are LogLosses.
    bound : a stretch whose mean LogLoss is higher has diverged.

    Attributes
    ----------
    points : the rows so far: step (the stretch's last), the mean of each loss over the stretch's rows, rows_per_second,
        memory_bytes (see `peak_memory`), and what the caller adds: plain values, since checkpoints hold them.
    trouble : what was found to be wrong with the losses that are read; None if nothing.
    rows, seconds : trained so far, earlier attempts included.
    """

    def __init__(self, steps: int, losses: Sequence[str], device: torch.device, *, bound: float = math.inf) -> None:
        self.points: list[dict[str, Any]] = []
        self.trouble: Trouble | None = None
        self.rows = 0
        self._steps = steps
        self._losses = list(losses)
        self._bounds = np.array([bound if name.startswith("loss") else math.inf for name in losses])
        self._device = device
        self._stretch = min(math.ceil(steps / MOST_ROWS), LONGEST_STRETCH)
        self._unread = torch.zeros(self._stretch, len(losses), device=device)
        self._unread_steps: list[tuple[int, int, int]] = []  # step, rows, day
        self._begin = self._stretch_begin = time.perf_counter()

    @property
    def loss(self) -> float | None:
        """The first loss of the last finished stretch."""
        return self.points[-1][self._losses[0]] if self.points else None

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return time.perf_counter() - self._begin

    def add(self, step: int, rows: int, *losses: Tensor, day: int) -> dict[str, Any] | None:
        """Count a step (from 1) with its mean losses over `rows` rows; return the new point where a stretch ends."""
        self._unread[len(self._unread_steps)] = torch.stack(losses)
        self._unread_steps.append((step, rows, day))
        self.rows += rows
        if step % self._stretch and step < self._steps:
            return None
        means = self._read(whole=True)
        now = time.perf_counter()
        rows_per_second = sum(rows for _, rows, _ in self._unread_steps) / (now - self._stretch_begin)
        memory = peak_memory(self._device)
        self.points.append({"step": step, **means, "rows_per_second": rows_per_second, "memory_bytes": memory})
        self._unread_steps, self._stretch_begin = [], now
        return self.points[-1]

    def leave_out(self, seconds: float) -> None:
        """Stop the clocks for a time that was spent on something else than training."""
        self._begin += seconds
        self._stretch_begin += seconds

    def look(self) -> None:
        """Set `trouble` if a loss of the unfinished stretch is not finite; this waits for the device.

        Whether it is too high is asked at the end of a stretch alone: the answer must not depend on when one looks.
        """
        if self._unread_steps:
            self._read(whole=False)

    def _read(self, *, whole: bool) -> dict[str, float]:
        values = self._unread[: len(self._unread_steps)].cpu().numpy().astype(np.float64)
        means = np.average(values, axis=0, weights=[rows for _, rows, _ in self._unread_steps])
        bad = ~np.isfinite(values)
        if whole:
            bad |= (values > self._bounds) & (means > self._bounds)
        if bad.any() and self.trouble is None:
            i, j = np.argwhere(bad)[0]  # the earliest step's
            step, _, day = self._unread_steps[i]
            self.trouble = Trouble(step, day, f"{self._losses[j]} is {values[i, j]:.4g}")
        return dict(zip(self._losses, means.tolist(), strict=True))

    def write(self, path: Path, schema: pa.Schema) -> None:
        """Write the points as Parquet."""
        with atomic_write(path) as temporary:
            pq.write_table(pa.Table.from_pylist(self.points, schema=schema), temporary)

    def state_dict(self) -> dict[str, Any]:
        """Return points, losses that are not in a point yet, and times: tensors and plain values."""
        now = time.perf_counter()
        return {
            "points": self.points,
            "unread": self._unread[: len(self._unread_steps)].clone(),
            "unread_steps": self._unread_steps,
            "rows": self.rows,
            "seconds": now - self._begin,
            "stretch_seconds": now - self._stretch_begin,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; clocks go on as if no time had passed."""
        self.points, self._unread_steps, self.rows = state["points"], state["unread_steps"], state["rows"]
        self._unread[: len(self._unread_steps)] = state["unread"]
        now = time.perf_counter()
        self._begin, self._stretch_begin = now - state["seconds"], now - state["stretch_seconds"]


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that this process had so far: allocated on a GPU, else resident in memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
