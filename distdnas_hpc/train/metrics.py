"""AUC, LogLoss, NE and calibration of one day's scores, each with its standard error (paper §V-B).

Memory: logits take 4 bytes a row and labels one; evaluating them takes another 5 at most, for all else is computed in
stretches of rows. A day of Criteo Terabyte, 195.8 million rows, so needs 2 GB in all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

STRETCH = 1 << 20
"""Rows computed with at a time."""


@dataclass(frozen=True)
class Metrics:
    """How well scores predict the clicks of some rows; nan where something is not defined.

    Attributes
    ----------
    rows, clicks : how many rows, and how many of them were clicked.
    auc : probability that a clicked row scores above one that was not clicked, ties counted half.
    logloss : mean binary cross entropy, in nats.
    ne : normalised entropy, `logloss` ÷ entropy of these rows' click rate; 1 for a model that knows only the rate.
    calibration : sum of the probabilities ÷ clicks; 1 when the predicted number of clicks is right.
    auc_standard_error : DeLong's, over the draw of these rows; not defined when a class has one row.
    logloss_standard_error, ne_standard_error, calibration_standard_error : likewise over the draw of these rows, of
        ratios by the delta method.
    """

    rows: int
    clicks: int
    auc: float
    auc_standard_error: float
    logloss: float
    logloss_standard_error: float
    ne: float
    ne_standard_error: float
    calibration: float
    calibration_standard_error: float


class Stretch(NamedTuple):
    """Some rows, (n,) float64 each: whether clicked (0 or 1), binary cross entropy, probability of a click."""

    clicked: NDArray[np.float64]
    loss: NDArray[np.float64]
    probability: NDArray[np.float64]


class Classes(NamedTuple):
    """Logits of the clicked rows, and of the others, each sorted."""

    positive: Floats
    negative: Floats


def evaluate_scores(label: ArrayLike, logit: ArrayLike) -> Metrics:
    """Evaluate predicted logits of a click; exact, in O(n log n) time.

    Logits rather than probabilities: of those, float32 has no different ones for logits above 17.

    Parameters
    ----------
    label : (n,) 0 or 1; n at least 1.
    logit : (n,) finite.

    Raises
    ------
    ValueError : shapes that differ, no rows, a label that is not 0 or 1, a logit that is not finite.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), "Comparing the areas under two or more correlated receiver operating
    characteristic curves", Biometrics 44(3).
    Sun & Xu (2014), "Fast implementation of DeLong's algorithm", IEEE Signal Processing Letters 21(11).
    He et al. (2014), "Practical lessons from predicting clicks on ads at Facebook", ADKDD (NE, calibration).
    """
    labels, logits = checked(label, logit)
    rows, clicks = labels.size, int(np.count_nonzero(labels))
    auc, auc_error = _auc(by_class(labels, logits))
    logloss = sum(float(part.loss.sum()) for part in stretches(labels, logits)) / rows
    predicted = sum(float(part.probability.sum()) for part in stretches(labels, logits))
    rate, entropy = clicks / rows, _entropy(clicks / rows)
    ne = logloss / entropy if entropy else np.nan
    calibration = predicted / clicks if clicks else np.nan
    of_ne = ne * np.log(1 / rate - 1) if entropy else np.nan  # by how much a click more in every row changes it, · H
    # To first order, what a row adds to each metric; the spread of these tells how much their mean may be off.
    squares = np.zeros(3)
    for clicked, loss, probability in stretches(labels, logits):
        squares += [
            np.square(loss - logloss).sum(),
            np.square(loss - logloss - of_ne * (clicked - rate)).sum(),
            np.square(probability - calibration * clicked).sum(),
        ]
    errors = np.sqrt(squares / max(rows - 1, 1) / rows) if rows > 1 else np.full(3, np.nan)
    return Metrics(
        rows=rows,
        clicks=clicks,
        auc=auc,
        auc_standard_error=auc_error,
        logloss=logloss,
        logloss_standard_error=float(errors[0]),
        ne=float(ne),
        ne_standard_error=float(errors[1] / entropy) if entropy else np.nan,
        calibration=float(calibration),
        calibration_standard_error=float(errors[2] / rate) if clicks else np.nan,
    )


def checked(label: ArrayLike, logit: ArrayLike) -> tuple[NDArray[np.uint8], Floats]:
    """Return labels and logits as arrays; a ValueError says what is wrong with them."""
    labels, logits = np.asarray(label), np.asarray(logit)
    if labels.ndim != 1 or labels.shape != logits.shape or not labels.size:
        raise ValueError(f"label {labels.shape} and logit {logits.shape} must be (n,) arrays of one length, not empty")
    if not ((labels == 0) | (labels == 1)).all():
        raise ValueError("label must be 0 or 1")
    if not np.isfinite(logits).all():
        raise ValueError("logit must be finite")
    return labels.astype(np.uint8, copy=False), logits


def by_class(label: NDArray[np.uint8], logit: Floats) -> Classes:
    """Split logits by their label, and sort them."""
    clicked = label.view(np.bool_)
    classes = Classes(logit[clicked], logit[~clicked])
    for of_class in classes:
        of_class.sort()
    return classes


def stretches(label: NDArray[np.uint8], logit: Floats) -> Iterator[Stretch]:
    """Yield rows, some at a time, with what they cost."""
    for start in range(0, len(label), STRETCH):
        clicked = label[start : start + STRETCH].astype(np.float64)
        z = logit[start : start + STRETCH].astype(np.float64)
        loss = np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0) - z * clicked
        yield Stretch(clicked, loss, probabilities(z))


def probabilities(logit: Floats) -> NDArray[np.float64]:
    """Return the logistic function of logits (n,), in double."""
    z = logit.astype(np.float64)
    small = np.exp(-np.abs(z))  # of the two classes' odds the smaller, so that nothing overflows
    return np.where(z >= 0, 1, small) / (1 + small)


def twice_placements(logit: Floats, others: Floats) -> NDArray[np.int64]:
    """Return, twice, how many of the other class's sorted logits each logit beats, ties counted half; (n,) integers."""
    return np.searchsorted(others, logit, "left") + np.searchsorted(others, logit, "right")


def _auc(classes: Classes) -> tuple[float, float]:
    """Return AUC and DeLong's standard error through placements.

    Sun & Xu (2014) find a placement as a row's midrank among all rows minus its midrank among its own class; here two
    binary searches give it without ranking all rows together. Twice a placement is an integer, so AUC is exact.
    """
    m, n = len(classes.positive), len(classes.negative)
    if not m or not n:
        return np.nan, np.nan
    wins = sum(int(twice_placements(part, classes.negative).sum()) for part in _parts(classes.positive))
    auc = wins / (2 * m * n)
    if min(m, n) == 1:
        return auc, np.nan
    variance = 0.0
    for own, other, mean in ((*classes, auc), (*classes[::-1], 1 - auc)):
        squares = sum(np.square(twice_placements(part, other) / (2 * len(other)) - mean).sum() for part in _parts(own))
        variance += squares / (len(own) - 1) / len(own)
    return auc, float(np.sqrt(variance))


def _parts(values: Floats) -> Iterator[Floats]:
    for start in range(0, len(values), STRETCH):
        yield values[start : start + STRETCH]


def _entropy(rate: float) -> float:
    """Return the entropy of a click rate, in nats; 0 where all rows are of one class."""
    return float(-(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))) if 0 < rate < 1 else 0.0
