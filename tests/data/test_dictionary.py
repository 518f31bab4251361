"""Codes against a Python dictionary: growing, in short lists, hashed, resumed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdnas_hpc.data import dictionary as module
from distdnas_hpc.data.dictionary import Dictionary, encode_columns
from distdnas_hpc.data.ids import HashedIds
from distdnas_hpc.data.rows import NO_TOKEN
from distdnas_hpc.errors import UserError

token = st.integers(0, 2**63 - 1) | st.integers(0, 2**32 - 1) | st.integers(0, 20) | st.just(NO_TOKEN)
# Equal in their lower 32 bits, in their upper ones, or in the exclusive or of both.
alike = st.sampled_from([5, 5 + 2**32, 5 + 2**33, 2**32, 5 * 2**32, 2**40 + 7, 2**40 + 8, 0])
column = st.lists(token | alike, max_size=80)
patient = settings(deadline=None)  # the first example waits for the compiler


def encode(dictionary: Dictionary, tokens) -> list[int]:
    codes = np.full(len(tokens), -7, np.int32)
    dictionary.encode(np.array(tokens, np.int64), codes)
    return codes.tolist()


def slow_codes(tokens, list_size=10**9) -> list[int]:
    """The order of first appearance; a list that is full is followed by a new one."""
    known: dict[int, int] = {}
    before, codes = 0, []
    for value in tokens:
        if value != NO_TOKEN and value not in known:
            if len(known) == list_size:
                before, known = before + list_size, {}
            known[value] = before + len(known) + 1
        codes.append(0 if value == NO_TOKEN else known[value])
    return codes


@patient
@given(st.lists(column, max_size=4), st.sampled_from([10**6, 1, 2, 7]))
def test_codes_are_in_the_order_of_first_appearance(parts, list_size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RUN_TOKENS", list_size)
        dictionary = Dictionary()
        found = [code for part in parts for code in encode(dictionary, part)]
        everything = [value for part in parts for value in part]
        expected = slow_codes(everything, list_size)
        assert found == expected
        assert dictionary.size == max(expected, default=0)
        new = dictionary.take_new().tolist()
    assert [new[code - 1] if code else NO_TOKEN for code in found] == everything


@pytest.mark.parametrize("factor", [1, 2**31], ids=["short tokens", "long tokens"])
def test_a_dictionary_grows_without_losing_a_token(factor):
    tokens = np.random.default_rng(1).integers(0, 200_000, 600_000) * factor
    dictionary, codes = Dictionary(), np.empty(600_000, np.int32)
    for part, out in zip(np.array_split(tokens, 7), np.array_split(codes, 7), strict=True):
        dictionary.encode(part, out)
    listed = dictionary.take_new()
    assert (listed[codes - 1] == tokens).all()
    _, first = np.unique(tokens, return_index=True)
    assert (listed == tokens[np.sort(first)]).all()


@patient
@given(st.lists(column, max_size=4), st.integers(2, 12))
def test_a_column_with_more_tokens_than_rows_is_hashed_from_there_on(parts, rows):
    dictionary = Dictionary(rows)
    found = [code for part in parts for code in encode(dictionary, part)]
    everything = [value for part in parts for value in part]
    listed = dictionary.take_new().tolist()
    different = list(dict.fromkeys(value for value in everything if value != NO_TOKEN))
    assert dictionary.hashed == (len(different) > rows - 1)
    assert listed == different[: rows - 1]
    hashed = np.empty(len(everything), np.int32)
    HashedIds(rows).encode(np.array(everything, np.int64), hashed)
    for code, value, row in zip(found, everything, hashed.tolist(), strict=True):
        assert code == (listed.index(value) + 1 if code > 0 else -row)
    if len(different) > rows - 1:
        assert encode(dictionary, different[rows - 1 :])[0] < 0


def test_a_cap_above_a_list_is_left_to_the_merge(monkeypatch):
    monkeypatch.setattr(module, "RUN_TOKENS", 10)
    dictionary = Dictionary(21)
    assert encode(dictionary, range(25)) == list(range(1, 26))
    assert not dictionary.hashed


def test_a_day_of_more_codes_than_shards_hold_is_refused_not_run_over(monkeypatch):
    monkeypatch.setattr(module, "RUN_TOKENS", 10)
    monkeypatch.setattr(module, "LARGEST_CODE", 35)
    dictionary = Dictionary()
    assert encode(dictionary, range(30)) == list(range(1, 31))
    with pytest.raises(UserError, match=r"more than 25 tokens to list in one column.*; cut the day into shorter ones"):
        encode(dictionary, [99])


@patient
@given(st.lists(column, min_size=2, max_size=4), st.sampled_from([10**6, 3]), st.sampled_from([None, 5]))
def test_a_resumed_dictionary_goes_on_as_if_nothing_had_happened(parts, list_size, rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RUN_TOKENS", list_size)
        first, second = Dictionary(rows), Dictionary(rows)
        for part in parts[:-1]:
            encode(first, part)
            second.resume(first.take_new(), hashed=first.hashed)
        assert (second.size, second.list_start, second.hashed) == (first.size, first.list_start, first.hashed)
        assert encode(second, parts[-1]) == encode(first, parts[-1])
        assert second.take_new().tolist() == first.take_new().tolist()


def test_columns_are_encoded_each_by_its_own(monkeypatch):
    monkeypatch.setattr(module, "RUN_TOKENS", 40)
    rng = np.random.default_rng(1)
    tokens = rng.integers(-1, [[3], [2000], [50], [10**6]], (4, 3000))
    dictionaries = [Dictionary(), Dictionary(), Dictionary(30), Dictionary()]
    codes = np.empty(tokens.shape, np.int32)
    encode_columns(dictionaries, tokens, codes)
    alone = [Dictionary(), Dictionary(), Dictionary(30), Dictionary()]
    assert codes.tolist() == [encode(one, column) for one, column in zip(alone, tokens, strict=True)]
