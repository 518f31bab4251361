"""How a running task tells the world how far it is: one small file, rewritten now and then."""

import json
import math
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distdnas_hpc.storage import write_text


class Progress:
    """Throttled writer of a task's `progress.json`.

    Writes come often at first and seldom later (every 1/50 of the time so far, between 0.3 and 30 seconds), so that a
    quick task is seen to move while thousands of long ones leave the file system alone.

    Parameters
    ----------
    path : the file to write, or None to tell nobody (tests, library use).
    also : is given what is written, each time.
    """

    def __init__(self, path: Path | None, also: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._path = path
        self._also = also
        self._next = self._start = time.monotonic()
        self._before = 0.0, 0

    def start(self, fraction: float = 0.0, rows: int = 0) -> None:
        """Start the clock anew, where an earlier attempt had done `fraction` of the task, over `rows` rows.

        What came before (imports, making a model, that attempt) says nothing about speed and time left.
        """
        self._start = time.monotonic()
        self._before = fraction, rows

    def update(
        self,
        fraction: float,
        *,
        rows: int | None = None,
        loss: float | None = None,
        architecture: dict[str, list[float]] | None = None,
    ) -> None:
        """Say that `fraction` (0 to 1) of the task is done, over `rows` rows so far, at a smoothed `loss`.

        A search also says its `architecture`, α and β flat. The most memory that the process had is told as well.

        Written when the last one is old enough, and always when fraction is 1.
        """
        now = time.monotonic()
        if self._path is None or (now < self._next and fraction < 1):
            return
        elapsed = now - self._start
        self._next = now + min(max(elapsed / 50, 0.3), 30.0)
        fraction_before, rows_before = self._before
        content = {
            "fraction": fraction,
            "rows": rows,
            "rows_per_second": (rows - rows_before) / elapsed if rows is not None and elapsed > 0 else None,
            "loss": loss if loss is not None and math.isfinite(loss) else None,
            "architecture": architecture,
            "eta_seconds": (
                elapsed * (1 - fraction) / (fraction - fraction_before) if fraction > fraction_before else None
            ),
            "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # Linux counts in KiB
            "time": time.time(),
        }
        write_text(self._path, json.dumps(content), durable=False)
        if self._also is not None:
            self._also(content)
