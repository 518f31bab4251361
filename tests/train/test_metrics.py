"""Metrics against scikit-learn, the definitions written the slow way, and properties that must hold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from distdnas_hpc.train import metrics as module
from distdnas_hpc.train.metrics import evaluate_scores


def evaluate(label, probability):
    """Evaluate probabilities, by way of their logits."""
    probability = np.asarray(probability, float)
    return evaluate_scores(label, np.log(probability / (1 - probability)))


def some_scores(rows: int, *, seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    """Labels and better-than-chance probabilities; with `ties`, only eleven distinct scores."""
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < 0.25).astype(np.float32)
    probability = 1 / (1 + np.exp(-rng.normal(label - 1.5, 1.0)))
    return label, np.round(probability, 1) * 0.98 + 0.01 if ties else probability


def delong_by_definition(label: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """AUC and its standard error from the full (positives × negatives) table of comparisons (DeLong 1988)."""
    positive, negative = score[label == 1], score[label == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(axis=1).var(ddof=1) / len(positive) + wins.mean(axis=0).var(ddof=1) / len(negative)
    return wins.mean(), math.sqrt(variance)


@st.composite
def labelled_scores(draw):
    """Both classes, at least two rows of each, scores on a coarse grid so that ties are common."""
    label = [*draw(st.lists(st.integers(0, 1), max_size=40)), 0, 0, 1, 1]
    score = draw(st.lists(st.integers(1, 19), min_size=len(label), max_size=len(label)))
    return np.array(label), np.array(score) / 20


@pytest.mark.parametrize("ties", [False, True])
def test_agrees_with_scikit_learn(ties):
    label, probability = some_scores(20_000, seed=1, ties=ties)
    metrics = evaluate(label, probability)
    assert metrics.auc == pytest.approx(roc_auc_score(label, probability), abs=1e-9)
    assert metrics.logloss == pytest.approx(log_loss(label, probability), abs=1e-9)


@pytest.mark.parametrize("ties", [False, True])
def test_standard_error_is_delongs(ties):
    label, probability = some_scores(1_500, seed=2, ties=ties)
    metrics = evaluate(label, probability)
    assert (metrics.auc, metrics.auc_standard_error) == pytest.approx(
        delong_by_definition(label, probability), rel=1e-9
    )


@given(labelled_scores())
@settings(deadline=None)
def test_auc_and_error_match_the_definition_on_small_tables(rows):
    metrics = evaluate(*rows)
    assert (metrics.auc, metrics.auc_standard_error) == pytest.approx(delong_by_definition(*rows), abs=1e-12)


def test_standard_error_has_the_size_hanley_and_mcneil_give():
    """Hanley & McNeil (1982), exact for exponential scores and near for others."""
    label, probability = some_scores(20_000, seed=3, ties=False)
    metrics = evaluate(label, probability)
    a, m, n = metrics.auc, metrics.clicks, metrics.rows - metrics.clicks
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    hanley = math.sqrt((a * (1 - a) + (m - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (m * n))
    assert metrics.auc_standard_error == pytest.approx(hanley, rel=0.1)


def test_standard_error_is_the_spread_of_auc_between_samples():
    drawn = [evaluate(*some_scores(2_000, seed=seed, ties=False)) for seed in range(300)]
    spread = np.std([metrics.auc for metrics in drawn], ddof=1)
    assert np.mean([metrics.auc_standard_error for metrics in drawn]) == pytest.approx(spread, rel=0.15)


def test_other_standard_errors_are_the_spread_between_samples():
    drawn = [evaluate(*some_scores(2_000, seed=seed, ties=False)) for seed in range(300)]
    for name in ("logloss", "ne", "calibration"):
        spread = np.std([getattr(metrics, name) for metrics in drawn], ddof=1)
        told = np.mean([getattr(metrics, f"{name}_standard_error") for metrics in drawn])
        assert told == pytest.approx(spread, rel=0.15), name


def test_known_values():
    metrics = evaluate([1, 0, 1, 0], [0.8, 0.3, 0.3, 0.1])
    assert (metrics.rows, metrics.clicks) == (4, 2)
    assert metrics.auc == 3.5 / 4  # one of the four pairs is a tie
    assert metrics.logloss == pytest.approx(-(math.log(0.8) + math.log(0.7) + math.log(0.3) + math.log(0.9)) / 4)
    assert metrics.ne == pytest.approx(metrics.logloss / math.log(2))
    assert metrics.calibration == pytest.approx(1.5 / 2)


def test_scores_that_say_nothing_have_auc_one_half_and_ne_one():
    label = np.array([1, 0, 0, 0, 1, 0, 0, 0])
    metrics = evaluate(label, np.full(8, 0.25))
    assert (metrics.auc, metrics.auc_standard_error) == (0.5, 0.0)
    assert metrics.ne == pytest.approx(1.0, abs=1e-12)
    assert metrics.calibration == pytest.approx(1.0, abs=1e-12)


def test_logits_beyond_the_range_of_probabilities_cost_what_they_should():
    metrics = evaluate_scores([1, 0], np.array([-1000.0, 1000.0], np.float32))
    assert (metrics.auc, metrics.logloss, metrics.calibration) == (0.0, 1000.0, 1.0)


def test_no_logit_is_tied_for_want_of_digits():
    """Of probabilities, float32 knows none between 1 - 6e-8 and 1, and so none of these."""
    label, logit = np.array([0, 1]), np.array([18.0, 18.1], np.float32)
    assert evaluate_scores(label, logit).auc == 1.0


def test_one_row_of_a_class_has_an_auc_but_no_standard_error():
    metrics = evaluate([1, 0, 0], [0.6, 0.7, 0.2])
    assert metrics.auc == 0.5
    assert math.isnan(metrics.auc_standard_error)


@given(labelled_scores(), st.sampled_from([np.sqrt, np.square, lambda p: 0.1 + p / 2, lambda p: p / (3 - 2 * p)]))
@settings(deadline=None)
def test_auc_depends_on_the_order_of_scores_alone(rows, monotone):
    label, score = rows
    before, after = evaluate(label, score), evaluate(label, monotone(score))
    assert (after.auc, after.auc_standard_error) == (before.auc, before.auc_standard_error)


@given(labelled_scores())
@settings(deadline=None)
def test_flipped_labels_give_one_minus_auc(rows):
    label, score = rows
    metrics, flipped = evaluate(label, score), evaluate(1 - label, score)
    assert flipped.auc == pytest.approx(1 - metrics.auc, abs=1e-12)
    assert flipped.auc_standard_error == pytest.approx(metrics.auc_standard_error, abs=1e-12)
    assert evaluate(1 - label, 1 - score).logloss == pytest.approx(metrics.logloss, abs=1e-12)


@given(labelled_scores(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_rows_does_not_matter(rows, random):
    label, score = rows
    order = list(range(len(label)))
    random.shuffle(order)
    metrics, shuffled = evaluate(label, score), evaluate(label[order], score[order])
    assert shuffled.auc == metrics.auc
    assert shuffled.logloss == pytest.approx(metrics.logloss, abs=1e-12)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_leaves_the_rest(label):
    metrics = evaluate(np.full(30, label), np.full(30, 0.25))
    told = (metrics.auc, metrics.auc_standard_error, metrics.ne, metrics.ne_standard_error)
    assert all(map(math.isnan, told))
    assert metrics.logloss == pytest.approx(-math.log(0.25 if label else 0.75))
    assert metrics.logloss_standard_error == pytest.approx(0, abs=1e-12)
    assert (metrics.calibration == pytest.approx(0.25)) if label else math.isnan(metrics.calibration)


def test_stretches_of_rows_do_not_change_what_is_found(monkeypatch):
    rows = some_scores(1_000, seed=5, ties=True)
    whole = evaluate(*rows)
    monkeypatch.setattr(module, "STRETCH", 7)
    assert vars(evaluate(*rows)) == pytest.approx(vars(whole), rel=1e-12)


@pytest.mark.parametrize(
    ("label", "logit", "fault"),
    [
        ([1, 0], [0.5], "one length"),
        ([[1], [0]], [[0.5], [0.5]], r"\(n,\)"),
        ([], [], "not empty"),
        ([1, 2], [0.5, 0.5], "0 or 1"),
        ([1, 0], [0.5, math.nan], "finite"),
        ([1, 0], [0.5, math.inf], "finite"),
    ],
)
def test_inputs_that_are_not_labels_and_logits_are_refused(label, logit, fault):
    with pytest.raises(ValueError, match=fault):
        evaluate_scores(label, logit)
