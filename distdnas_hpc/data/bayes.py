"""What the best possible model scores: its answers are the true click probabilities.

Scores are expectations over the labels of the rows at hand, given their probabilities p: each row is a click with
weight p and none with weight 1 - p. They are sums over rows and over the bins of a fine histogram of logits, so rows
can be added block by block in memory that does not grow.
"""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LARGEST = 32.0
"""Logits beyond ± this count as this."""

_BINS = 1 << 18
"""Bins of logits, 0.00025 wide; rows of one bin count as ties, which changes the AUC by less than 1e-6."""


class BayesScores(TypedDict):
    """Scores of the true probabilities; standard errors are those of measuring them on one drawing of the labels."""

    auc: float
    auc_standard_error: float
    logloss: float
    logloss_standard_error: float
    ne: float


class BayesOptimum:
    """Gathers the true probabilities of rows."""

    def __init__(self) -> None:
        self._rows = 0
        self._clicks = self._entropy = self._variance = 0.0
        self._positive, self._negative = np.zeros(_BINS), np.zeros(_BINS)

    def add(self, p: Floats) -> None:
        """Add rows of click probabilities p, (n,), above 0 and below 1."""
        logit = np.log(p) - np.log1p(-p)
        self._rows += len(p)
        self._clicks += p.sum()
        self._entropy -= (p * np.log(p) + (1 - p) * np.log1p(-p)).sum()
        self._variance += (p * (1 - p) * logit**2).sum()  # of Σ -log p(y): it takes two values, logit apart
        bins = ((logit / _LARGEST + 1) / 2 * _BINS).astype(np.int64).clip(0, _BINS - 1)
        self._positive += np.bincount(bins, p, _BINS)
        self._negative += np.bincount(bins, 1 - p, _BINS)

    def scores(self) -> BayesScores:
        """Return the scores over all rows added so far, at least two.

        The AUC is the expected number of ordered pairs of a click and a row without one, over the expected number of
        all pairs. Its standard error is DeLong's (1988), each row weighted by its probability of either label. NE
        divides the LogLoss by the entropy of the mean probability (paper §V-A).
        """
        positives, negatives = self._positive.sum(), self._negative.sum()
        below = (self._negative.cumsum() - self._negative / 2) / negatives  # of a click's bin: share beaten
        above = (positives - self._positive.cumsum() + self._positive / 2) / positives
        auc = float(self._positive @ below / positives)
        variance = (
            self._positive @ (below - auc) ** 2 / positives**2 + self._negative @ (above - auc) ** 2 / negatives**2
        )
        logloss, rate = self._entropy / self._rows, self._clicks / self._rows
        return {
            "auc": auc,
            "auc_standard_error": float(np.sqrt(variance)),
            "logloss": float(logloss),
            "logloss_standard_error": float(np.sqrt(self._variance) / self._rows),
            "ne": float(logloss / -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))),
        }
