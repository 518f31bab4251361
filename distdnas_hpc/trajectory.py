"""How losses go over a single pass: means over short stretches of steps, one row of a Parquet file each."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from distdnas_hpc.storage import atomic_write

MOST_ROWS = 2000
"""At most so many rows in a trajectory; each costs one host synchronisation, and no other step has any."""


class Trajectory:
    """Sums losses on the device, and reads them once a stretch.

    Parameters
    ----------
    steps : of the whole pass.
    losses : their names.

    Attributes
    ----------
    points : the rows so far: step (the stretch's last), the mean of each loss over the stretch's rows, rows_per_second,
        and what the caller adds.
    """

    def __init__(self, steps: int, losses: Sequence[str], device: torch.device) -> None:
        self.points: list[dict[str, Any]] = []
        self._steps = steps
        self._losses = losses
        self._stretch = math.ceil(steps / MOST_ROWS)
        self._sums = torch.zeros(len(losses), dtype=torch.float64, device=device)
        self._rows = 0
        self._start = time.perf_counter()

    @property
    def loss(self) -> float | None:
        """The first loss of the last finished stretch."""
        return self.points[-1][self._losses[0]] if self.points else None

    def add(self, step: int, rows: int, *losses: Tensor, day: int) -> dict[str, Any] | None:
        """Count a step (from 1) with its mean losses over `rows` rows; return the new point where a stretch ends.

        Raises
        ------
        RuntimeError : a loss of the stretch is not finite.
        """
        self._sums += rows * torch.stack(losses)
        self._rows += rows
        if step % self._stretch and step < self._steps:
            return None
        means = dict(zip(self._losses, (self._sums / self._rows).tolist(), strict=True))
        if not all(map(math.isfinite, means.values())):
            told = ", ".join(f"{name} {mean}" for name, mean in means.items())
            raise RuntimeError(
                f"a loss stopped being finite in the {self._stretch} steps up to step {step} (day {day}): {told}"
            )
        now = time.perf_counter()
        self.points.append({"step": step, **means, "rows_per_second": self._rows / (now - self._start)})
        self._sums.zero_()
        self._rows, self._start = 0, now
        return self.points[-1]

    def write(self, path: Path, schema: pa.Schema) -> None:
        """Write the points as Parquet."""
        with atomic_write(path) as temporary:
            pq.write_table(pa.Table.from_pylist(self.points, schema=schema), temporary)
