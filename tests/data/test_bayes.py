"""The best possible scores against drawn labels, scored by scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from distdnas_hpc.data.bayes import BayesOptimum


def scores_of(p: np.ndarray, blocks: int = 1):
    optimum = BayesOptimum()
    for block in np.array_split(p, blocks):
        optimum.add(block)
    return optimum.scores()


@pytest.fixture(scope="module")
def p() -> np.ndarray:
    """Click probabilities of 3,000 rows, 3% on average."""
    logit = np.random.default_rng(1).normal(-4.3, 1.4, 3000)
    return 1 / (1 + np.exp(-logit))


@pytest.fixture(scope="module")
def drawn(p) -> np.ndarray:
    """AUC and LogLoss of p on 200 drawings of the labels, (200, 2)."""
    rng = np.random.default_rng(2)
    labels = rng.random((200, len(p))) < p
    return np.array([(roc_auc_score(label, p), log_loss(label, p)) for label in labels])


@pytest.mark.parametrize(("score", "column"), [("auc", 0), ("logloss", 1)])
def test_scores_are_expectations_over_the_labels(p, drawn, score, column):
    error_of_mean = drawn[:, column].std() / np.sqrt(len(drawn))
    assert abs(scores_of(p)[score] - drawn[:, column].mean()) < 4 * error_of_mean


@pytest.mark.parametrize(("score", "column"), [("auc", 0), ("logloss", 1)])
def test_standard_errors_are_the_spread_over_the_labels(p, drawn, score, column):
    stated = scores_of(p)[f"{score}_standard_error"]
    if score == "logloss":
        assert stated == pytest.approx(drawn[:, column].std(), rel=0.15)
    else:  # DeLong's holds for rows drawn anew as well, so it is a little wider
        assert drawn[:, column].std() * 0.95 < stated < drawn[:, column].std() * 1.5


def test_the_histogram_of_logits_is_as_good_as_sorting(p):
    """The AUC as a sum over all pairs of rows, each a click or not."""
    above = (p[:, None] > p).astype(float) + (p[:, None] == p) / 2
    pairs = np.outer(p, 1 - p)
    np.fill_diagonal(pairs, 0)
    assert scores_of(p)["auc"] == pytest.approx((pairs * above).sum() / pairs.sum(), abs=2e-4)


def test_rows_added_in_blocks_are_rows_added_at_once(p):
    assert scores_of(p, blocks=7) == pytest.approx(scores_of(p), rel=1e-12)


def test_nothing_to_know_is_a_coin():
    scores = scores_of(np.full(100, 0.2))
    assert (scores["auc"], scores["ne"]) == pytest.approx((0.5, 1))
    assert scores["logloss"] == pytest.approx(-0.2 * np.log(0.2) - 0.8 * np.log(0.8))


def test_certainty_is_perfect():
    scores = scores_of(np.tile([1e-9, 1 - 1e-9], 50))
    assert scores["auc"] == pytest.approx(1)
    assert scores["logloss"] < 1e-7
