"""How a peer trains when it is told to: its end of `peers.Worker`."""
# ruff: noqa: T201

import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def draw(tables: list[int], dense: int, rows: int) -> tuple[Array, NDArray[np.int64], Array]:
    """Return dense features (rows, dense), ids (rows, tables) and labels; frequencies of ids fall as 1/(id + 1)."""
    rng = np.random.default_rng(1)
    ids = (np.array(tables) ** rng.random((rows, len(tables)))).astype(np.int64) - 1
    return rng.random((rows, dense), np.float32), ids, (rng.random(rows) < 0.03).astype(np.float32)


def serve(train: Callable[[int, int], Callable[[], object]]) -> None:
    """Answer each line 'rows of a batch, steps' with the seconds of a call of what `train` prepares for it."""
    prepared: dict[tuple[int, int], Callable[[], object]] = {}
    for line in sys.stdin:
        batch, steps = map(int, line.split())
        if (batch, steps) not in prepared:
            prepared[batch, steps] = train(batch, steps)
        start = time.perf_counter()
        prepared[batch, steps]()
        print("\nseconds", time.perf_counter() - start, flush=True)
