"""How a running task tells the world how far it is: one small file, rewritten now and then."""

import json
import time
from pathlib import Path

from distdnas_hpc.storage import write_text


class Progress:
    """Throttled writer of a task's `progress.json`.

    Writes come often at first and seldom later (every 1/50 of the time so far, between 0.3 and 30 seconds), so that a
    quick task is seen to move while thousands of long ones leave the file system alone.

    Parameters
    ----------
    path : the file to write, or None to tell nobody (tests, library use).
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._next = self._start = time.monotonic()

    def start(self) -> None:
        """Start the clock anew: what came before (imports, making a model) says nothing about speed and time left."""
        self._start = time.monotonic()

    def update(self, fraction: float, *, rows: int | None = None, loss: float | None = None) -> None:
        """Say that `fraction` (0 to 1) of the task is done, over `rows` rows so far, at a smoothed `loss`.

        Written when the last one is old enough, and always when fraction is 1.
        """
        now = time.monotonic()
        if self._path is None or (now < self._next and fraction < 1):
            return
        elapsed = now - self._start
        self._next = now + min(max(elapsed / 50, 0.3), 30.0)
        content = {
            "fraction": fraction,
            "rows": rows,
            "rows_per_second": rows / elapsed if rows is not None and elapsed > 0 else None,
            "loss": loss,
            "eta_seconds": elapsed * (1 - fraction) / fraction if fraction > 0 else None,
            "time": time.time(),
        }
        write_text(self._path, json.dumps(content), durable=False)
