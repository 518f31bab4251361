"""A supernet's NE by quarters of its search, from losses of known height, and the doubt that follows from it."""

import math

import pytest

from distdnas_hpc.search.learning import doubt, entropy, supernet_ne


def points(*losses, stretch=1):
    return [{"step": stretch * (i + 1), "loss_w": loss} for i, loss in enumerate(losses)]


def test_the_entropy_of_a_rate():
    assert entropy(0.5) == pytest.approx(math.log(2))
    assert entropy(0.25) == pytest.approx(0.5623, abs=1e-4)
    assert entropy(0) == entropy(1) == 0


def test_each_quarter_has_the_mean_of_its_steps():
    half = math.log(2)  # the LogLoss of a coin
    ne = supernet_ne(points(1.2 * half, half, half, 0.8 * half, 0.7 * half, 0.7 * half, 0.6 * half, 0.4 * half), 0.5)
    assert ne == pytest.approx([1.1, 0.9, 0.7, 0.5])


def test_a_shorter_last_stretch_counts_less():
    """Stretches of 10 steps, the last of 5."""
    stretches = [*points(0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.5, stretch=10), {"step": 75, "loss_w": 0.2}]
    assert supernet_ne(stretches, 0.5)[-1] == pytest.approx(0.4 / math.log(2))


def test_fewer_points_than_quarters_are_told_one_by_one():
    assert len(supernet_ne(points(0.6, 0.5), 0.5)) == 2


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_days_of_one_class_have_no_ne(rate):
    assert supernet_ne(points(0.6, 0.5), rate) == []


def test_a_supernet_no_better_than_the_click_rate_is_doubted():
    assert "ends at NE 0.998, no better than answering the click rate" in doubt([1.1, 1.0, 1.0, 0.998])


@pytest.mark.parametrize("ne", [[1.0, 0.99, 0.9, 0.8], []])
def test_one_that_learned_is_not_and_of_none_nothing_is_known(ne):
    assert doubt(ne) is None
