"""The parts of a run's results, as `report.results` reads them."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.train.scores import Difference

Array = NDArray[np.float64]

METRICS = tuple(
    f"{metric}{suffix}" for metric in ("auc", "logloss", "ne", "calibration") for suffix in ("", "_standard_error")
)
"""In a result null, and here nan, where one is not defined."""


@dataclass(frozen=True)
class TaskTime:
    """When and where a finished task ran; `started` and `finished` know their time zone."""

    stage: str
    task: str
    host: str
    started: datetime
    finished: datetime
    seconds: float


@dataclass(frozen=True)
class LossCurve:
    """Training loss of one model: (points,) each; `day` is the training day that a step belongs to."""

    step: Array
    day: Array
    loss: Array


@dataclass(frozen=True)
class TrainedModel:
    """A model after training, and its scores on the test day; the metrics are those of `train.metrics.Metrics`.

    `name` is its task's, `model`, `theta` and `copies` are those of `train.candidates.Candidate`. `macs` are a
    sample's, `interaction_parameters` all but the embedding tables'. `curve` is None when it is missing, `difference`
    (from DLRM) when it was not computed.
    """

    name: str
    model: str
    theta: float | None
    copies: int | None
    title: str
    macs: int
    interaction_parameters: int
    embedding_parameters: int
    rows: int
    train_seconds: float
    rows_per_second: float
    test_day: int
    test_rows: int
    clicks: int
    auc: float
    auc_standard_error: float
    logloss: float
    logloss_standard_error: float
    ne: float
    ne_standard_error: float
    calibration: float
    calibration_standard_error: float
    curve: LossCurve | None
    difference: Difference | None

    @property
    def parameters(self) -> int:
        """Parameters in all."""
        return self.interaction_parameters + self.embedding_parameters


@dataclass(frozen=True)
class Cost:
    """Cost importance: `dense` and `sparse` (N, 5) from 0 to 1, held-out `r2`, `macs_full` of the whole supernet."""

    dense: Array
    sparse: Array
    r2: float
    samples: int
    macs_full: int

    @property
    def later(self) -> str | None:
        """The blocks that share their importances, in words; None where block 1 is the only one."""
        blocks = len(self.dense)
        return None if blocks == 1 else "block 2" if blocks == 2 else f"blocks 2–{blocks}"


@dataclass(frozen=True)
class Searched:
    """What one task of search did over time: `step` and `expected_macs` (points,), `alpha` and `beta` (points, N, 5).

    `what` it searched, in words: 'day 3', or in a single task 'days 1–4'. `ne` is the supernet's by quarters, see
    `search.learning`; empty where days are of one class, and in runs from before it was written.
    """

    what: str
    rows: int
    seconds: float
    ne: tuple[float, ...]
    step: Array
    alpha: Array
    beta: Array
    expected_macs: Array


@dataclass(frozen=True)
class Found:
    """What the search found: means and spreads over `days`, (N, 5) each, and the architecture that each θ keeps.

    The config's first θ is the main one, shown where there is room for one.
    """

    days: tuple[int, ...]
    alpha: Array
    beta: Array
    alpha_spread: Array
    beta_spread: Array
    architectures: dict[float, Architecture]

    @property
    def theta(self) -> float:
        """The main θ."""
        return next(iter(self.architectures))

    @property
    def architecture(self) -> Architecture:
        """What the main θ keeps."""
        return self.architectures[self.theta]

    @property
    def kept(self) -> int:
        """Number of modules that the main θ keeps in all blocks together."""
        return sum(len(names) for side in (self.architecture.dense, self.architecture.sparse) for names in side)
