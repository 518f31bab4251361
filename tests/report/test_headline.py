"""The sentences at the top of the page say what was found, and no more than the test rows can bear."""

import dataclasses
import math

import pytest

from distdnas_hpc.report.headline import headline
from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.words import days_in_words


@pytest.fixture
def results(run):
    return read_results(run.path)


def changed(results, name, **changes):
    models = tuple(dataclasses.replace(m, **changes) if m.model == name else m for m in results.models)
    return dataclasses.replace(results, models=models)


def test_a_small_difference_is_called_chance(results):
    assert headline(results) == (
        "Averaged over days 1–4, the search keeps 21 of 30 interaction modules in 3 blocks. The network needs 25% "
        "fewer MACs than DLRM, and its AUC is 0.0061 higher, too little to tell from chance on 1,200 test rows."
    )


def test_a_large_difference_is_more_than_chance(results):
    told = headline(changed(results, "distdnas", auc=0.6))
    assert told.endswith("its AUC is 0.11 lower, more than chance in the draw of the 1,200 test rows explains.")


def test_an_auc_that_is_not_defined_is_said_to_be_so(results):
    told = headline(changed(results, "distdnas", auc=math.nan))
    assert told.endswith("The network needs 0.900 M MACs a sample; its AUC on day 6 is not defined.")


def test_nothing_is_claimed_where_the_error_is_not_defined(results):
    told = headline(changed(results, "dlrm", auc_standard_error=math.nan))
    assert told.endswith("its AUC is 0.0061 higher.")


@pytest.mark.parametrize(
    ("macs", "words"),
    [
        (1_200_000, "as many MACs as DLRM"),
        (1_500_000, "25% more MACs than DLRM"),
        (4_200_000, "3.5 times the MACs of DLRM"),
    ],
)
def test_macs_in_words(results, macs, words):
    assert f"The network needs {words}, and" in headline(changed(results, "distdnas", macs=macs))


def test_equal_scores_are_the_same(results):
    assert headline(changed(results, "distdnas", auc=0.7051)).endswith("its AUC is the same.")


def test_without_a_baseline_the_network_stands_alone(results):
    alone = dataclasses.replace(results, models=results.models[:1])
    assert headline(alone).endswith("needs 0.900 M MACs a sample and reaches AUC 0.7112 and NE 0.9090 on day 6.")


def test_a_run_on_its_way_says_how_far_it_is(results):
    begun = dataclasses.replace(results, found=None, models=(), days={1: results.days[1]})
    assert headline(begun) == ("1 of 4 days are searched; no architecture yet. The network is not trained yet.")


@pytest.mark.parametrize(
    ("days", "words"),
    [((3,), "day 3"), ((1, 2), "days 1–2"), ((1, 2, 3, 6), "days 1–3 and 6"), ((1, 3, 5, 6), "days 1, 3 and 5–6")],
)
def test_days_in_words(days, words):
    assert days_in_words(days) == words
