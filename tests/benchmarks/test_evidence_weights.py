"""What the weights of a study's days say, against small cases worked out by hand."""

import numpy as np
import pytest

from benchmarks.evidence.weights import MODULES, agreement, kept, last_days, ordered, side_of

EVEN = np.full((2, 10), 0.2)
"""Two blocks in which nothing is preferred."""


def with_weights(**of_first_block):
    mean = EVEN.copy()
    for name, value in of_first_block.items():
        mean[0, MODULES.index(name)] = value
    return mean


def test_ordered_counts_pairs_of_the_same_block_and_side():
    assert ordered(EVEN, ["pin"]) == 0.5
    assert ordered(with_weights(pin=0.3), ["pin"]) == (4 + 4 * 0.5) / 8  # all pairs of block 1, ties in block 2
    assert ordered(with_weights(pin=0.1), ["pin"]) == (0 + 4 * 0.5) / 8
    assert ordered(with_weights(pma=0.3), ["pin"]) == 0.5  # the other side doesn't matter


def test_two_wanted_modules_are_not_compared_with_each_other():
    assert ordered(with_weights(pin=0.3, crossnet=0.25), ["crossnet", "pin"]) == (6 + 6 * 0.5) / 12


def test_kept_is_what_an_aggregate_keeps():
    mean = with_weights(identity=0.4, linear=0.19, dot_product=0.25, crossnet=0.1, pin=0.06)
    of_first = dict(zip(MODULES, kept(mean, 0.2)[0]))
    assert [name for name in MODULES[:5] if of_first[name]] == ["identity", "dot_product"]
    assert [name for name in MODULES[:5] if dict(zip(MODULES, kept(mean, 0.9)[0]))[name]] == ["identity"]  # the best


def test_last_days_are_averaged():
    days = np.stack([EVEN, with_weights(pin=0.6), with_weights(pin=0.4)])
    searches = [{"days": days.tolist()}]
    place = 0, MODULES.index("pin")
    assert [last_days(searches, n)[0][place] for n in (1, 2)] == pytest.approx([0.4, 0.5])
    assert last_days(searches)[0][place] == last_days(searches, 3)[0][place] == pytest.approx(0.4)


def test_agreement_is_the_share_of_modules_kept_alike():
    without_pin = with_weights(pin=0.1)
    assert agreement([EVEN, EVEN, EVEN], 0.2) == 1
    assert agreement([EVEN, without_pin], 0.2) == 19 / 20
    assert agreement([EVEN, EVEN, without_pin], 0.2) == pytest.approx((1 + 19 / 20 * 2) / 3)


def test_sides():
    assert side_of(["pin"]).tolist() == [True] * 5 + [False] * 5
    assert side_of(["transformer", "pma"]).tolist() == [False] * 5 + [True] * 5
