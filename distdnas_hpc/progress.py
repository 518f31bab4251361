"""How a running task tells the world how far it is: one small file, rewritten now and then."""

import json
import time
from pathlib import Path

from distdnas_hpc.storage import write_text


class Progress:
    """Throttled writer of a task's `progress.json`.

    Writes come often at first and seldom later (every 1/50 of the time so far, between 0.3 and 30 seconds), so that a
    quick task is seen to move while thousands of long ones leave the file system alone. Work on an accelerator asks
    `due()` before it reads a loss back, so that a step which reports nothing costs no host synchronisation.

    Parameters
    ----------
    path : the file to write, or None to tell nobody (tests, library use).
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._start = time.monotonic()
        self._next = self._start

    def due(self) -> bool:
        """Whether an `update` now would be written."""
        return self._path is not None and time.monotonic() >= self._next

    def update(self, fraction: float, *, rows: int | None = None, loss: float | None = None) -> None:
        """Say that `fraction` (0 to 1) of the task is done, over `rows` rows so far, at a smoothed `loss`.

        Written when `due()`, and always when fraction is 1.
        """
        if self._path is None or not (self.due() or fraction >= 1.0):
            return
        now = time.monotonic()
        elapsed = now - self._start
        self._next = now + min(max(elapsed / 50, 0.3), 30.0)
        content = {
            "fraction": fraction,
            "rows": rows,
            "rows_per_second": rows / elapsed if rows is not None and elapsed > 0 else None,
            "loss": loss,
            "eta_seconds": elapsed * (1 - fraction) / fraction if fraction > 0 else None,
            "elapsed_seconds": elapsed,
            "time": time.time(),
        }
        write_text(self._path, json.dumps(content), durable=False)
