"""Ids against a dictionary, the choice of tokens against a sorted list, and what a hash must keep."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdnas_hpc.data.counting import Run
from distdnas_hpc.data.ids import ExactIds, HashedIds, choose_ids
from distdnas_hpc.data.rows import NO_TOKEN
from tests.data.click_logs import real_data

token = st.integers(0, 2**63 - 1) | st.integers(0, 9)  # the small ones meet often
column = st.lists(token | st.just(NO_TOKEN), max_size=40)

patient = settings(deadline=None)  # the first example waits for the compiler


def array(tokens) -> np.ndarray:
    return np.array(tokens, np.int64)


def encode(ids, tokens) -> list[int]:
    encoded = np.full(len(tokens), -7, np.int32)
    ids.encode(array(tokens), encoded)
    return encoded.tolist()


def run(tokens) -> Run:
    counts = sorted(Counter(tokens).items())
    return Run(array([token for token, _ in counts]), array([count for _, count in counts]))


@patient
@given(st.sets(token, max_size=40), column)
def test_exact_ids_are_those_of_a_dictionary(known, unseen):
    dictionary = {token: i for i, token in enumerate(sorted(known), start=1)}
    ids = ExactIds(array(sorted(known)))
    assert ids.rows == len(dictionary) + 1
    tokens = [*known, *unseen]
    assert encode(ids, tokens) == [dictionary.get(token, 0) for token in tokens]


def test_exact_ids_of_many_tokens():
    known = np.unique(np.random.default_rng(1).integers(0, 2**63, 300_000))
    encoded = np.empty(len(known), np.int32)
    ExactIds(known).encode(known, encoded)
    assert (encoded == np.arange(1, len(known) + 1)).all()
    ExactIds(known).encode(known + 1, encoded)
    assert (encoded > 0).sum() == np.isin(known + 1, known).sum()


@patient
@given(st.lists(st.lists(st.integers(0, 30)), min_size=1, max_size=4), st.integers(2, 12), st.integers(1, 4))
def test_the_most_frequent_tokens_are_kept_and_the_smaller_of_equals(days, max_rows, min_count):
    data = real_data(max_rows=max_rows, overflow="frequent", min_count=min_count)
    ids, dropped = choose_ids([run(day) for day in days], data)
    counts = Counter(token for day in days for token in day)
    often = sorted((token for token in counts if counts[token] >= min_count), key=lambda token: (-counts[token], token))
    kept = sorted(often[: max_rows - 1])
    assert isinstance(ids, ExactIds)
    assert ids.tokens.tolist() == kept
    assert dropped == len(counts) - len(kept)


@patient
@given(st.lists(st.lists(st.integers(0, 30)), min_size=1, max_size=4), st.integers(2, 12), st.integers(1, 4))
def test_a_column_is_hashed_when_the_tokens_seen_often_are_too_many(days, max_rows, min_count):
    ids, dropped = choose_ids([run(day) for day in days], real_data(max_rows=max_rows, min_count=min_count))
    counts = Counter(token for day in days for token in day)
    often = sorted(token for token in counts if counts[token] >= min_count)
    if len(often) > max_rows - 1:
        assert (ids, dropped) == (HashedIds(max_rows), 0)
    else:
        assert isinstance(ids, ExactIds)
        assert (ids.tokens.tolist(), dropped) == (often, len(counts) - len(often))


def test_a_choice_among_many_stretches_is_that_of_one(monkeypatch):
    rng = np.random.default_rng(2)
    days = [run(rng.zipf(1.3, 3000).clip(max=2000).tolist()) for _ in range(5)]
    data = real_data(max_rows=50, overflow="frequent")
    whole, _ = choose_ids(days, data)
    monkeypatch.setattr("distdnas_hpc.data.counting.MERGED_TOKENS", 100)
    assert choose_ids(days, data)[0].tokens.tolist() == whole.tokens.tolist()


def test_hash_is_the_published_one():
    # fmix32 of MurmurHash3, as ids of a table so large that its size does not show; a change would silently break
    # every trained model
    rows = 2**31 - 1
    expected = [1 + mixed % (rows - 1) for mixed in (0, 0x514E28B7, 0x30F4C306, 0x81F16F39)]
    assert encode(HashedIds(rows), [0, 1, 2, 0xFFFFFFFF]) == expected


@patient
@given(column, st.integers(2, 50))
def test_hashed_ids_stay_in_the_table_and_keep_0_for_missing(tokens, rows):
    for token, id_ in zip(tokens, encode(HashedIds(rows), tokens), strict=True):
        assert id_ == 0 if token == NO_TOKEN else 1 <= id_ < rows


@pytest.mark.parametrize("step", [1, 16, 65536, 2**32, 2**40])
def test_hash_spreads_regular_tokens_evenly(step):
    rows = 101
    encoded = np.empty(60_000, np.int32)
    HashedIds(rows).encode(np.arange(60_000, dtype=np.int64) * step, encoded)
    counts = np.bincount(encoded, minlength=rows)[1:]
    assert counts.min() > 0.8 * 600
    assert counts.max() < 1.2 * 600
