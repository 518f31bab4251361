"""The truth: what its parts are made of, what each of them needs to be found, and how it drifts."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from distdnas_hpc.config import Planted
from distdnas_hpc.data.planted import PlantedRows, Truth
from distdnas_hpc.data.rows import MISSING

DENSE, SPARSE, COLUMNS, TOKENS = 5, 6, 3, 8
PARTS = ["linear", "products", "crosses", "attention"]


def truth_of(*, day: int = 1, **settings) -> Truth:
    """A truth over three columns of each kind; `settings` may name parts."""
    parts = {name: settings.pop(name) for name in PARTS if name in settings}
    plant = {"columns": COLUMNS, "tokens": TOKENS, "click_rate": 0.3, "drift": 0.1} | settings
    return Truth(Planted.model_validate({"parts": parts, **plant}), DENSE, SPARSE, day)


def drawn(truth: Truth, n: int = 12_000) -> PlantedRows:
    return truth.draw(n, np.random.default_rng(7))


def u_of(rows: PlantedRows) -> np.ndarray:
    """Dense features of the columns that matter, as a model finds them."""
    dense = rows.dense[:COLUMNS]
    return np.where(dense == MISSING, 0, np.log1p(np.maximum(dense, 0)) - 5)


def singles(rows: PlantedRows) -> np.ndarray:
    """Everything a linear model sees: u, and an indicator a token."""
    return np.concatenate([u_of(rows), *(np.eye(TOKENS + 1)[column].T for column in rows.tokens[:COLUMNS])]).T


def pairs(rows: PlantedRows) -> np.ndarray:
    """An indicator for each pair of tokens of two columns."""
    both = [a * (TOKENS + 1) + b for a, b in combinations(rows.tokens[:COLUMNS], 2)]
    return np.concatenate([np.eye((TOKENS + 1) ** 2)[column].T for column in both]).T


def crosses(rows: PlantedRows) -> np.ndarray:
    return np.stack([a * b for a, b in combinations(u_of(rows), 2)], axis=1)


def explained(signal: np.ndarray, features: np.ndarray) -> float:
    """Share of the signal's variance that a linear function of features explains."""
    features = np.column_stack([features, np.ones(len(features))])
    weights = np.linalg.lstsq(features.T @ features, features.T @ signal, rcond=1e-9)[0]  # the normal equations
    return float(1 - ((signal - features @ weights) ** 2).mean() / signal.var())


# What single columns, pairs of tokens and products of dense features explain of each part.
@pytest.mark.parametrize(
    ("part", "by_singles", "by_pairs", "by_crosses"),
    [
        ("linear", (0.999, 1), (0.1, 0.95), (0, 0.02)),
        ("products", (0, 0.03), (0.999, 1), (0, 0.02)),
        ("crosses", (0, 0.03), (0, 0.06), (0.999, 1)),
        ("attention", (0, 0.2), (0.3, 0.9), (0, 0.02)),
    ],
)
def test_each_part_is_its_own_kind_of_interaction(part, by_singles, by_pairs, by_crosses):
    truth = truth_of(**{part: 2.0})
    rows = drawn(truth)
    signal = truth.signal(rows)
    for features, (low, high) in ((singles, by_singles), (pairs, by_pairs), (crosses, by_crosses)):
        assert low <= explained(signal, features(rows)) <= high + 1e-9, features.__name__


def test_attention_is_a_function_of_three_tokens():
    """One that no sum over pairs gives: it takes a query and every key."""
    truth = truth_of(attention=2.0)
    rows = drawn(truth)
    a, b, c = rows.tokens[:COLUMNS]
    three = (a * (TOKENS + 1) + b) * (TOKENS + 1) + c
    seen: dict[int, float] = {}
    for key, value in zip(three, truth.signal(rows)):
        assert seen.setdefault(int(key), value) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("part", PARTS)
def test_a_logistic_regression_finds_the_linear_part_alone(part):
    """Of the gap between knowing only the click rate and the truth, it closes nearly all or little."""
    truth = truth_of(**{part: 2.0})
    rows = drawn(truth, 20_000)
    p = truth.probability(rows)
    label = np.random.default_rng(1).random(len(p)) < p
    train, test = slice(0, 10_000), slice(10_000, None)
    features = singles(rows)
    model = LogisticRegression(C=10, max_iter=200).fit(features[train], label[train])
    nothing, best = (log_loss(label[test], answer) for answer in (np.full(10_000, label.mean()), p[test]))
    closed = (nothing - log_loss(label[test], model.predict_proba(features[test])[:, 1])) / (nothing - best)
    assert closed > 0.95 if part == "linear" else closed < 0.2


def test_parts_have_the_size_and_clicks_the_rate_that_were_asked_for():
    for settings in ({"linear": 0.5}, {"products": 2.0, "crosses": 1.0}, dict.fromkeys(PARTS, 0.8)):
        truth = truth_of(**settings, click_rate=0.03)
        rows = drawn(truth, 50_000)
        asked = np.sqrt(sum(size**2 for size in settings.values()))
        assert truth.signal(rows).std() == pytest.approx(asked, rel=0.05)
        assert truth.probability(rows).mean() == pytest.approx(0.03, rel=0.06)


def test_a_part_is_the_same_beside_others():
    rows = drawn(truth_of(linear=1.0))
    alone = [truth_of(**{part: 1.0}).signal(rows) for part in PARTS]
    np.testing.assert_allclose(truth_of(**dict.fromkeys(PARTS, 1.0)).signal(rows), sum(alone), atol=1e-9)


def test_only_the_first_columns_matter():
    truth = truth_of(**dict.fromkeys(PARTS, 1.0))
    rows = drawn(truth, 1000)
    other = truth.draw(1000, np.random.default_rng(8))
    noise = replace(rows, dense=rows.dense.copy(), tokens=rows.tokens.copy())
    noise.dense[COLUMNS:], noise.tokens[COLUMNS:] = other.dense[COLUMNS:], other.tokens[COLUMNS:]
    assert (truth.signal(noise) == truth.signal(rows)).all()
    assert (truth.signal(other) != truth.signal(rows)).all()


def test_values_are_like_those_of_a_click_log():
    rows = drawn(truth_of(linear=1.0, missing=0.2, tokens=300, exponent=1.05), 50_000)
    for column in rows.dense:
        assert (column == MISSING).mean() == pytest.approx(0.2, abs=0.01)
        there = column[column != MISSING]
        assert (there >= 0).all()
        x = np.log1p(there)
        assert (x.mean(), x.std()) == pytest.approx((5, 1), abs=0.03)
    for column in rows.tokens:
        count = np.bincount(column, minlength=301)
        assert count[0] / len(column) == pytest.approx(0.2, abs=0.01)
        slope = np.polyfit(np.log([1, 4, 16, 64]), np.log(count[[1, 4, 16, 64]]), 1)[0]
        assert slope == pytest.approx(-1.05, abs=0.08), "a power law"


@pytest.mark.parametrize("part", PARTS)
def test_the_truth_turns_from_day_to_day(part):
    rows = drawn(truth_of(linear=1.0, tokens=60))
    day_1, day_4, day_16 = (truth_of(**{part: 1.0}, tokens=60, day=day).signal(rows) for day in (1, 4, 16))
    close, far = np.corrcoef(day_1, day_4)[0, 1], np.corrcoef(day_1, day_16)[0, 1]
    assert 0.75 < close < 1, "0.3 radians"
    assert abs(far) < 0.6, "1.5 radians"
    assert day_16.std() == pytest.approx(day_1.std(), rel=0.1)


def test_yesterdays_truth_is_no_longer_the_best_answer():
    truth, yesterday = (truth_of(products=2.0, day=day) for day in (4, 1))
    rows = drawn(truth)
    p, stale = truth.probability(rows), yesterday.probability(rows)
    expected = [-(p * np.log(answer) + (1 - p) * np.log(1 - answer)).mean() for answer in (p, stale)]
    assert expected[1] - expected[0] > 0.01


def test_without_drift_the_truth_stays():
    rows = drawn(truth_of(linear=1.0))
    a, b = (truth_of(products=1.0, drift=0, day=day).probability(rows) for day in (1, 9))
    assert (a == b).all()


def test_the_seed_decides_the_truth():
    rows = drawn(truth_of(linear=1.0))
    a, b, c = (truth_of(products=1.0, seed=seed).probability(rows) for seed in (1, 1, 2))
    assert (a == b).all()
    assert abs(np.corrcoef(a, c)[0, 1]) < 0.5
