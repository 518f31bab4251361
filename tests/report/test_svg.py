"""What figures share: round ticks, thinning that keeps ends and means, positions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdnas_hpc.report.svg import POINTS, Plot, binned, nice_ticks, thinned


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
        (0.43, 0.72, [0.5, 0.6, 0.7]),
        (0, 18, [0, 5, 10, 15]),
        (1.2e6, 1.9e6, [1.2e6, 1.4e6, 1.6e6, 1.8e6]),
        (3, 3, [3]),
    ],
)
def test_known_ticks(low, high, ticks):
    assert nice_ticks(low, high) == ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_lie_inside_evenly_and_are_neither_few_nor_many(low, width):
    ticks = nice_ticks(low, low + width)
    assert 1 <= len(ticks) <= 6
    assert low - width * 1e-6 <= ticks[0] <= ticks[-1] <= low + width * (1 + 1e-6)
    if len(ticks) > 2:
        assert np.diff(ticks) == pytest.approx(np.full(len(ticks) - 1, ticks[1] - ticks[0]), rel=1e-6)


@given(st.integers(1, 3000))
def test_thinning_keeps_both_ends_and_the_order(count):
    x, y = thinned(np.arange(count), np.arange(count) ** 2)
    assert len(x) == min(count, POINTS)
    assert (x[0], x[-1]) == (0, count - 1)
    assert y == [value**2 for value in x]
    assert x == sorted(set(x))


@given(st.integers(1, 3000))
def test_bins_keep_the_mean_of_each_stretch(count):
    values = np.random.default_rng(count).normal(size=count)
    x, y = binned(np.arange(count), values)
    assert len(x) == len(y) == min(count, POINTS)
    if count % POINTS == 0:
        assert np.mean(y) == pytest.approx(values.mean())
    assert min(values) <= min(y) <= max(y) <= max(values)


def test_a_plot_puts_the_ends_of_its_ranges_at_its_edges():
    plot = Plot(10, 20, 100, 50, (0, 4), (1, 3))
    assert (plot.x(0), plot.x(4), plot.x(1)) == (10, 110, 35)
    assert (plot.y(3), plot.y(1), plot.y(2)) == (20, 70, 45)


def test_a_range_of_one_value_does_not_divide_by_zero():
    plot = Plot(0, 0, 10, 10, (5, 5), (5, 5))
    assert math.isfinite(plot.x(5)) and math.isfinite(plot.y(5))
