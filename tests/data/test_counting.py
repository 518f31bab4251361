"""Counts of tokens against a Counter: in memory, spilled in runs, merged over days."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdnas_hpc.data import counting
from distdnas_hpc.data.counting import DistinctTokens, Run, merge_runs
from distdnas_hpc.data.rows import NO_TOKEN

column = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 20) | st.just(NO_TOKEN), max_size=60)
any_settings = settings(deadline=None)  # the first example waits for the compiler


def runs_of(blocks, *, counted=True, limit=None) -> list[Run]:
    runs: list[Run] = []
    distinct = DistinctTokens(runs.append, counted=counted, limit=limit)
    for block in blocks:
        distinct.add(np.array(block, np.int64))
    distinct.finish()
    return runs


def merged(runs) -> dict[int, int]:
    parts = list(merge_runs(runs))
    tokens = [token for part in parts for token in part.tokens.tolist()]
    assert tokens == sorted(set(tokens)), "each once, in order"
    return dict(zip(tokens, [count for part in parts for count in part.counts.tolist()], strict=True))


@any_settings
@given(st.lists(column, max_size=5))
def test_counts_are_those_of_a_counter(blocks):
    (run,) = runs_of(blocks)
    expected = Counter(token for block in blocks for token in block if token != NO_TOKEN)
    assert run.tokens.tolist() == sorted(expected)
    assert dict(zip(run.tokens.tolist(), run.counts.tolist(), strict=True)) == expected


@any_settings
@given(st.lists(st.lists(column, max_size=5), min_size=1, max_size=4), st.integers(1, 8), st.integers(1, 30))
def test_runs_of_many_days_merge_to_the_counts_of_all(days, run_tokens, merged_tokens):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "RUN_TOKENS", run_tokens)
        patch.setattr(counting, "MERGED_TOKENS", merged_tokens)
        runs = [run for day in days for run in runs_of(day)]
        assert all(len(run.tokens) <= run_tokens for run in runs)
        found = merged(runs)
    assert found == Counter(token for day in days for block in day for token in block if token != NO_TOKEN)


@any_settings
@given(column, st.integers(1, 12))
def test_a_column_with_more_tokens_than_the_limit_hands_over_nothing(tokens, limit):
    runs = runs_of([tokens[:30], tokens[30:]], counted=False, limit=limit)
    different = sorted(set(tokens) - {NO_TOKEN})
    assert [run.tokens.tolist() for run in runs] == ([] if len(different) > limit else [different])
    assert all((run.counts == 1).all() for run in runs)


def test_a_limit_above_a_run_is_left_to_the_merge(monkeypatch):
    monkeypatch.setattr(counting, "RUN_TOKENS", 10)
    runs = runs_of([range(25)], counted=False, limit=20)
    assert [len(run.tokens) for run in runs] == [10, 10, 5]


def test_a_table_grows_without_losing_a_count():
    tokens = np.random.default_rng(1).integers(0, 200_000, 500_000) * 2**32
    (run,) = runs_of(np.array_split(tokens, 7))
    expected, counts = np.unique(tokens, return_counts=True)
    assert (run.tokens == expected).all()
    assert (run.counts == counts).all()


def test_no_runs_are_no_tokens():
    assert merged([]) == {}
