"""Ids against a dictionary, and what a hash must keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdnas_hpc.data.ids import DistinctTokens, ExactIds, HashedIds, mix
from distdnas_hpc.data.rows import NO_TOKEN

token = st.integers(0, 2**32 - 1) | st.integers(0, 9)  # the small ones meet often
column = st.lists(token | st.just(NO_TOKEN), max_size=40)


def array(tokens) -> np.ndarray:
    return np.array(tokens, np.int64)


def known(tokens, limit=1000) -> DistinctTokens:
    distinct = DistinctTokens(limit)
    distinct.add(array(tokens))
    return distinct


@given(st.lists(column, max_size=6), column)
def test_exact_ids_are_those_of_a_dictionary(training, unseen):
    distinct = DistinctTokens(1000)
    for block in training:
        distinct.add(array(block))
    every = [token for block in training for token in block]
    dictionary = {token: i for i, token in enumerate(sorted(set(every) - {NO_TOKEN}), start=1)}
    ids = ExactIds(distinct.tokens)
    assert ids.rows == len(dictionary) + 1
    encoded = ids.encode(array(every + unseen))
    assert encoded.tolist() == [dictionary.get(token, 0) for token in every + unseen]
    assert encoded.dtype == np.int32


@given(column, st.integers(1, 12))
def test_tokens_above_the_limit_are_not_kept(tokens, limit):
    different = set(tokens) - {NO_TOKEN}
    kept = known(tokens, limit).tokens
    assert (kept is None) == (len(different) > limit)


def test_an_overflow_is_for_good():
    distinct = known(range(11), limit=10)
    assert distinct.tokens is None
    distinct.add(array([1]))
    assert distinct.tokens is None


def test_memory_of_distinct_tokens_is_bounded_by_the_limit():
    distinct = DistinctTokens(200_000)
    rng = np.random.default_rng(1)
    kept = set()
    for _ in range(40):
        block = rng.integers(0, 150_000, 20_000)
        kept.update(block.tolist())
        distinct.add(block)
        assert distinct._pending_size <= 200_000
    assert distinct.tokens.tolist() == sorted(kept)


def test_hash_is_the_published_one():
    # fmix32 of MurmurHash3; a change would silently break every trained model
    assert mix(np.array([0, 1, 2, 0xFFFFFFFF], np.uint32)).tolist() == [0, 0x514E28B7, 0x30F4C306, 0x81F16F39]


@given(column, st.integers(2, 50))
def test_hashed_ids_stay_in_the_table_and_keep_0_for_missing(tokens, rows):
    encoded = HashedIds(rows).encode(array(tokens))
    assert encoded.dtype == np.int32
    for token, id_ in zip(tokens, encoded.tolist(), strict=True):
        assert id_ == 0 if token == NO_TOKEN else 1 <= id_ < rows


@pytest.mark.parametrize("step", [1, 16, 65536])
def test_hash_spreads_regular_tokens_evenly(step):
    rows = 101
    counts = np.bincount(HashedIds(rows).encode(np.arange(60_000, dtype=np.int64) * step), minlength=rows)[1:]
    assert counts.min() > 0.8 * 600
    assert counts.max() < 1.2 * 600
