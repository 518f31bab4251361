"""Days that agree, a day that does not, and what hangs on it: against scipy and sets written the obvious way."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from distdnas_hpc.report.agreement import agreement
from distdnas_hpc.report.results import read_results
from tests.report.conftest import SyntheticRun


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return read_results(SyntheticRun(tmp_path_factory.mktemp("agreement") / "run", blocks=2, days=4).path)


def with_weights(results, alpha, beta):
    """The run as if its days had ended at (days, N, 5) weights."""
    days = {
        number: dataclasses.replace(results.days[number], alpha=a[None], beta=b[None])
        for number, a, b in zip(results.days, alpha, beta)
    }
    found = dataclasses.replace(results.found, days=tuple(days))
    return dataclasses.replace(results, days=days, found=found)


def test_days_of_one_opinion_agree_and_none_decides(results):
    """On day 4 alone β of linear3d, .248, lies below that of pma, .25: two of five ranks swapped make ρ = .9."""
    told = agreement(results)
    assert [day.day for day in told.days] == [1, 2, 3, 4]
    assert told.theta == 0.2
    assert [day.rank_correlation for day in told.days] == pytest.approx([1, 1, 1, (1 + 0.9) / 2])
    assert told.stability == 1
    assert told.decisive == ()


def test_the_day_that_differs_is_named_with_what_hangs_on_it(results):
    usual = np.array([[0.30, 0.26, 0.19, 0.13, 0.12]] * 2)
    odd = np.array([[0.10, 0.12, 0.28, 0.24, 0.26], [0.30, 0.26, 0.19, 0.13, 0.12]])
    told = agreement(with_weights(results, [usual, odd, usual, usual], [usual] * 4))
    assert told.least_like.day == 2
    assert told.least_like.rank_correlation < told.days[0].rank_correlation
    # The mean of block 1: .25 .225 .2125 .1575 .155; without day 2 that of the others, without another day
    # .233 .213 .22 .167 .167.
    assert [(day.day, day.added, day.dropped) for day in told.decisive] == [(2, (), ("block 1 dot_product",))]
    assert told.stability == 1 - 1 / 20


def test_another_theta_may_be_asked_for(results):
    assert agreement(results, 0.25).theta == 0.25


def test_one_day_agrees_with_nobody(results):
    one = dataclasses.replace(results.found, days=(1,))
    assert agreement(dataclasses.replace(results, found=one)) is None
    assert agreement(dataclasses.replace(results, found=None)) is None


def test_where_all_weights_are_equal_there_is_no_rank(results):
    even = np.full((4, 2, 5), 0.2)
    told = agreement(with_weights(results, even, even))
    assert [day.rank_correlation for day in told.days] == [None] * 4
    assert told.least_like is None


@given(st.integers(0, 10_000))
def test_ranks_are_correlated_as_scipy_does(results, seed):
    """Weights of few values, so that there are ties."""
    rng = np.random.default_rng(seed)
    alpha, beta = (rng.integers(1, 6, (4, 2, 5)) / 20 for _ in range(2))
    alpha[..., 0], beta[..., 0] = 0.0, 0.5  # no row of equal weights
    told = agreement(with_weights(results, alpha, beta))
    rows = [(side[2, i], side.mean(axis=0)[i]) for side in (alpha, beta) for i in range(2)]
    assert told.days[2].rank_correlation == pytest.approx(np.mean([spearmanr(*row).statistic for row in rows]))


@given(st.integers(0, 10_000), st.floats(0.05, 0.4))
def test_leaving_a_day_out_is_what_it_says(results, seed, theta):
    rng = np.random.default_rng(seed)
    alpha, beta = (rng.dirichlet(np.full(5, 5.0), (4, 2)) for _ in range(2))
    told = agreement(with_weights(results, alpha, beta), theta)

    def kept(days):
        means = np.array([alpha[days].mean(axis=0), beta[days].mean(axis=0)])
        keep = means >= theta - 1e-6
        return {
            (side, block, j)
            for side in range(2)
            for block in range(2)
            for j in (np.flatnonzero(keep[side, block]) if keep[side, block].any() else [means[side, block].argmax()])
        }

    changes = [kept([d for d in range(4) if d != day]) ^ kept([0, 1, 2, 3]) for day in range(4)]
    assert [len(day.added) + len(day.dropped) for day in told.days] == [len(change) for change in changes]
    assert told.stability == pytest.approx(1 - len(set().union(*changes)) / 20)
