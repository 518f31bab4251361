"""Averaging days and discretizing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.search.aggregate import aggregate, discretize
from distdnas_hpc.storage import write_yaml

EVEN = np.full((2, 5), 0.2)


def probabilities(seed):
    raw = np.random.default_rng(seed).random((2, 5)) + 0.1
    return raw / raw.sum(1, keepdims=True)


@pytest.fixture
def days(tmp_path):
    """Days 1-3 searched."""
    files = {}
    for day in (1, 2, 3):
        files[day] = tmp_path / f"day_{day:02d}.yaml"
        sides = {"alpha": probabilities(day).tolist(), "beta": probabilities(10 + day).tolist()}
        write_yaml(files[day], {"day": day, "config": "abc", **sides})
    return files


def test_probabilities_are_averaged(days):
    mean = aggregate(days, 3)
    assert mean.days == (1, 2, 3)
    assert mean.alpha == pytest.approx(sum(probabilities(day) for day in (1, 2, 3)) / 3)
    assert mean.beta == pytest.approx(sum(probabilities(10 + day) for day in (1, 2, 3)) / 3)
    assert mean.alpha_spread == pytest.approx(np.std([probabilities(day) for day in (1, 2, 3)], axis=0, ddof=1))
    assert mean.to_dict()["dense_modules"] == list(DENSE_MODULES)
    assert mean.to_dict()["beta"] == mean.beta.tolist()


def test_missing_days_are_left_out_when_enough_are_there(days):
    days[2].unlink()
    mean = aggregate(days, 2)
    assert mean.days == (1, 3)
    assert mean.alpha == pytest.approx((probabilities(1) + probabilities(3)) / 2)


def test_too_few_days_are_refused_by_name(days):
    days[2].unlink()
    with pytest.raises(UserError, match=r"Only 2 of the 3 days are searched and 3 are needed \(missing: 2\)"):
        aggregate(days, 3)


def test_one_day_has_no_spread(days):
    assert (aggregate({1: days[1]}, 1).alpha_spread == 0).all()


@pytest.mark.parametrize("broken", [{"alpha": [[0.2] * 4]}, {"alpha": [[0.9] * 5]}, {"beta": "x"}, {"beta": None}])
def test_a_file_without_probabilities_is_named(days, broken):
    write_yaml(days[2], {"day": 2, "config": "abc", "alpha": EVEN.tolist(), "beta": EVEN.tolist(), **broken})
    with pytest.raises(UserError, match=r"day_02\.yaml: '(alpha|beta)' is not a table of probabilities"):
        aggregate(days, 3)


def test_days_of_another_config_are_refused(days):
    write_yaml(days[3], {"day": 3, "config": "xyz", "alpha": EVEN.tolist(), "beta": EVEN.tolist()})
    with pytest.raises(UserError, match=r"day_03\.yaml comes from another config"):
        aggregate(days, 3)


def test_theta_keeps_what_reaches_it_and_the_best_of_the_rest():
    alpha = np.array([[0.1, 0.25, 0.15, 0.3, 0.2], [0.19, 0.21, 0.2, 0.2, 0.2]])
    beta = np.array([[0.1, 0.2, 0.3, 0.2, 0.2], [0.15, 0.24, 0.23, 0.2, 0.18]])
    found = discretize(alpha, beta, 0.25)
    assert found.dense == (("linear", "crossnet"), ("linear",))
    assert found.sparse == (("transformer",), ("linear3d",))


def test_equal_probabilities_keep_everything_at_one_fifth():
    """A float32 softmax gives 0.2 a little above or below θ = 0.2."""
    below = np.full((2, 5), np.nextafter(np.float32(0.2), np.float32(0)), dtype=np.float64)
    assert discretize(below, EVEN, 0.2) == Architecture.full(2)


@given(arrays(float, (3, 5), elements=st.floats(0.01, 1)), st.floats(0.05, 0.6), st.floats(0.05, 0.6))
def test_a_larger_theta_never_keeps_more(raw, a, b):
    alpha = raw / raw.sum(1, keepdims=True)
    few, many = (discretize(alpha, alpha, theta) for theta in (max(a, b), min(a, b)))
    for side, names in (("dense", DENSE_MODULES), ("sparse", SPARSE_MODULES)):
        for kept, more, p in zip(getattr(few, side), getattr(many, side), alpha):
            assert set(kept) <= set(more)
            assert names[int(p.argmax())] in kept
