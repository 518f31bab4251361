"""The scores of a test day on disk, and two models' compared row by row; imports no torch."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import atomic_write
from distdnas_hpc.train.metrics import STRETCH, Floats, by_class, stretches, twice_placements

SCORES = "scores.npy"
"""In a train task's folder: (rows of the test day,) of `ROW`, in the order of its shards."""

ROW = np.dtype([("logit", "<f4"), ("label", "u1")])
"""A row's logit and whether it was clicked: 5 bytes, 1 GB for a day of Criteo Terabyte."""


class Scores(NamedTuple):
    """Labels (n,) uint8 and logits (n,) float32 of a test day."""

    label: NDArray[np.uint8]
    logit: NDArray[np.float32]


class Difference(NamedTuple):
    """How a model's metrics differ from a baseline's on the same rows.

    Attributes
    ----------
    auc, auc_standard_error : AUC less the baseline's, and its standard error over the draw of these rows; nan where it
        is not defined.
    relative_ne_percent, relative_ne_percent_standard_error : (NE ÷ the baseline's - 1)·100, and likewise.
    """

    auc: float
    auc_standard_error: float
    relative_ne_percent: float
    relative_ne_percent_standard_error: float


def write_scores(path: Path, scores: Scores) -> None:
    """Write scores in one visible step."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": ROW.descr, "fortran_order": False, "shape": scores.label.shape}
        )
        for start in range(0, len(scores.label), STRETCH):
            part = slice(start, start + STRETCH)
            rows = np.empty(len(scores.label[part]), ROW)
            rows["logit"], rows["label"] = scores.logit[part], scores.label[part]
            file.write(rows.data)


def read_scores(path: Path) -> Scores:
    """Read scores; a UserError names a file that is missing or damaged."""
    try:
        rows = np.load(path, mmap_mode="r")
        return Scores(rows["label"].copy(), rows["logit"].copy())
    except (OSError, ValueError, IndexError) as error:
        raise UserError(f"{path} can't be read ({error}); remove its folder and train the model again.") from None


def comparer(baseline: Scores) -> Callable[[Scores], Difference]:
    """Return a function that compares a model's scores with the baseline's by a paired test.

    Both models see the same rows, so their errors go together, and the standard error of a difference is much smaller
    than two independent ones would give. For AUC it is DeLong's (1988, eq. 3-5): of the differences of placements.
    The entropy of the click rate cancels from the ratio of two NEs, which is the ratio of the LogLosses.
    """
    rows = len(baseline.label)
    logloss = _logloss(baseline)
    placements = _placements(baseline)
    m, n = (len(of_class) for of_class in placements)

    def compare(model: Scores) -> Difference:
        if not np.array_equal(model.label, baseline.label):
            raise ValueError("the two models were not tested on the same rows")
        ratio = _logloss(model) / logloss
        squares = sum(
            float(np.square(one.loss - ratio * other.loss).sum())
            for one, other in zip(stretches(*model), stretches(*baseline), strict=True)
        )
        ne_error = np.sqrt(squares / max(rows - 1, 1) / rows) / logloss if rows > 1 else np.nan
        auc, variance = np.nan, np.nan
        if m and n:
            # Placements, twice, of both models; a win more of a clicked row is 1 / (2 n).
            differences = [
                (mine - its) / (2 * others)
                for mine, its, others in zip(_placements(model), placements, (n, m), strict=True)
            ]
            auc = float(differences[0].mean())
            if min(m, n) > 1:
                variance = sum(float(np.var(each, ddof=1)) / len(each) for each in differences)
        return Difference(auc, float(np.sqrt(variance)), 100 * (ratio - 1), float(100 * ne_error))

    return compare


def _placements(scores: Scores) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return twice the placements of the clicked rows, and of the others, in the rows' order."""
    positive, negative = by_class(*scores)
    clicked = scores.label.view(np.bool_)
    return _of_class(scores.logit[clicked], negative), _of_class(scores.logit[~clicked], positive)


def _of_class(logit: Floats, others: Floats) -> NDArray[np.integer]:
    found: NDArray[np.integer] = np.empty(len(logit), np.int32 if len(others) < 2**30 else np.int64)
    for start in range(0, len(logit), STRETCH):
        part = logit[start : start + STRETCH]
        order = np.argsort(part)  # searching for sorted values is five times as fast as for scattered ones
        found[start + order] = twice_placements(part[order], others)
    return found


def _logloss(scores: Scores) -> float:
    return sum(float(part.loss.sum()) for part in stretches(*scores)) / len(scores.label)
