"""Whether a supernet learned anything while it was searched: architecture weights mean nothing before it has.

They choose by what modules add to a supernet that predicts clicks. One that predicts no better than the click rate
leaves them noise and cost to choose by (docs/evidence.md).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

QUARTERS = 4
LEARNED = 0.99
"""NE of a search's last quarter above which its supernet is said to have learned nothing."""


def entropy(rate: float) -> float:
    """Return the LogLoss, in nats, of answering `rate`, the share of clicks, to every row."""
    return -sum(p * math.log(p) for p in (rate, 1 - rate) if p > 0)


def supernet_ne(points: Sequence[Mapping[str, Any]], rate: float) -> list[float]:
    """Return the supernet's normalised entropy (paper §V-A) on w's batches, each scored before w learns from it.

    Parameters
    ----------
    points : of a search's trajectory, with `step`, the last of a stretch, and `loss_w`, the stretch's mean.
    rate : share of clicks in the days searched.

    Returns
    -------
    The mean over each quarter of the search; fewer means where there are fewer points, none where all rows are of one
    class. 1 is what a constant achieves; less is better.
    """
    if not 0 < rate < 1:
        return []
    step, loss = (np.array([point[name] for point in points], np.float64) for name in ("step", "loss_w"))
    steps = np.diff(step, prepend=0)
    quarters = np.array_split(np.arange(len(points)), min(QUARTERS, len(points)))
    return [float(np.average(loss[part], weights=steps[part]) / entropy(rate)) for part in quarters]


def doubt(ne: Sequence[float]) -> str | None:
    """Say in words why the weights of a search are to be doubted; None if its supernet learned something."""
    if not ne or ne[-1] <= LEARNED:
        return None
    return (
        f"The supernet ends at NE {ne[-1]:.3f}, no better than answering the click rate: its weights mean little. "
        "More rows a day, or smaller batches (search.batch_size), give it more steps to learn."
    )
