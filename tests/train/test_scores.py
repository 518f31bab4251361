"""Scores on disk, and the paired comparison against definitions and repeated draws."""

import math

import numpy as np
import pytest

from distdnas_hpc.errors import UserError
from distdnas_hpc.train import scores as module
from distdnas_hpc.train.metrics import evaluate_scores
from distdnas_hpc.train.scores import SCORES, Scores, comparer, read_scores, write_scores


def two_models(rows: int, seed: int, ties: bool = False) -> tuple[Scores, Scores]:
    """A better and a worse model of the same clicks, which err alike."""
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < 0.25).astype(np.uint8)
    better = rng.normal(label - 1.5, 1.0)
    worse = better + rng.normal(0, 0.5, rows)
    if ties:
        better, worse = np.round(better, 1), np.round(worse, 1)
    return Scores(label, better.astype(np.float32)), Scores(label, worse.astype(np.float32))


def delong_pair_by_definition(one: Scores, other: Scores) -> tuple[float, float]:
    """Difference of AUCs and its standard error from two full tables of comparisons (DeLong 1988)."""
    tables = []
    for label, logit in (one, other):
        positive, negative = logit[label == 1], logit[label == 0]
        tables.append((positive[:, None] > negative) + 0.5 * (positive[:, None] == negative))
    wins = tables[0] - tables[1]
    m, n = wins.shape
    return wins.mean(), math.sqrt(wins.mean(1).var(ddof=1) / m + wins.mean(0).var(ddof=1) / n)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_s_difference_is_delongs(ties, monkeypatch):
    one, other = two_models(1_500, seed=1, ties=ties)
    monkeypatch.setattr(module, "STRETCH", 100)
    found = comparer(other)(one)
    assert (found.auc, found.auc_standard_error) == pytest.approx(delong_pair_by_definition(one, other), rel=1e-9)


def test_relative_ne_is_that_of_the_two_evaluations():
    one, other = two_models(1_500, seed=2)
    expected = (evaluate_scores(*one).ne / evaluate_scores(*other).ne - 1) * 100
    assert comparer(other)(one).relative_ne_percent == pytest.approx(expected, rel=1e-9)


def test_standard_errors_are_the_spread_between_draws_and_smaller_than_of_independent_ones():
    drawn = [comparer(other)(one) for one, other in (two_models(2_000, seed) for seed in range(200))]
    for name in ("auc", "relative_ne_percent"):
        spread = np.std([getattr(found, name) for found in drawn], ddof=1)
        told = np.mean([getattr(found, f"{name}_standard_error") for found in drawn])
        assert told == pytest.approx(spread, rel=0.2), name
    one, other = two_models(2_000, 0)
    independent = math.hypot(*(evaluate_scores(*each).auc_standard_error for each in (one, other)))
    assert drawn[0].auc_standard_error < independent / 2


def test_a_model_does_not_differ_from_itself():
    one, _ = two_models(500, seed=3)
    assert comparer(one)(one) == (0, 0, 0, 0)


def test_one_class_has_no_auc_to_differ_in():
    label = np.zeros(5, np.uint8)
    found = comparer(Scores(label, np.zeros(5, np.float32)))(Scores(label, np.ones(5, np.float32)))
    assert math.isnan(found.auc)
    assert math.isnan(found.auc_standard_error)
    assert found.relative_ne_percent == pytest.approx(100 * (math.log1p(math.e) / math.log(2) - 1), rel=1e-6)


def test_other_rows_are_refused():
    one, _ = two_models(500, seed=4)
    with pytest.raises(ValueError, match="same rows"):
        comparer(one)(one._replace(label=1 - one.label))


def test_scores_are_read_as_they_were_written(tmp_path, monkeypatch):
    one, _ = two_models(1_000, seed=5)
    monkeypatch.setattr(module, "STRETCH", 300)
    write_scores(tmp_path / SCORES, one)
    found = read_scores(tmp_path / SCORES)
    assert np.array_equal(found.label, one.label)
    assert np.array_equal(found.logit, one.logit)
    assert evaluate_scores(*found) == evaluate_scores(*one)
    assert (tmp_path / SCORES).stat().st_size < 5 * 1000 + 200


def test_damaged_scores_are_named(tmp_path):
    write_scores(tmp_path / SCORES, two_models(1_000, seed=5)[0])
    (tmp_path / SCORES).write_bytes((tmp_path / SCORES).read_bytes()[:-1])
    with pytest.raises(UserError, match=r"scores\.npy can't be read"):
        read_scores(tmp_path / SCORES)
    with pytest.raises(UserError, match=r"other\.npy can't be read"):
        read_scores(tmp_path / "other.npy")
