"""Counts of tokens against a Counter: of one list or many, merged over days."""

from collections import Counter
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdnas_hpc.data import counting, dictionary
from distdnas_hpc.data.counting import Run, merge_runs, read_runs, token_lists, write_runs
from distdnas_hpc.data.dictionary import Dictionary
from distdnas_hpc.data.hdf5 import create_hdf5, open_hdf5
from distdnas_hpc.data.rows import NO_TOKEN, Columns
from distdnas_hpc.data.shards import create_shard, open_shard

column = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 20) | st.just(NO_TOKEN), max_size=60)
any_settings = settings(deadline=None)  # the first example waits for the compiler


def runs_of(folder, parts) -> list[Run]:
    """The runs of a day of one column, whose rows come in some parts, each a shard."""
    codes_of, paths = Dictionary(), []
    for i, part in enumerate(parts):
        codes = np.empty(len(part), np.int32)
        codes_of.encode(np.array(part, np.int64), codes)
        paths.append(folder / f"{i}.h5")
        with create_shard(paths[-1], 1, 1) as shard:
            shard.append(Columns(np.zeros(len(part), "u1"), np.zeros((1, len(part)), "i4"), codes[None]))
            shard.finish(("C1",), (codes_of.take_new(),), (False,))
    with ExitStack() as stack:
        shards = [stack.enter_context(open_shard(path)) for path in paths]
        with create_hdf5(folder / "runs.h5") as draft:
            write_runs(draft, shards, ("C1",))
        listed = [tokens.tolist() for tokens in token_lists(shards, "C1")]
        file = stack.enter_context(open_hdf5(folder / "runs.h5"))
        found = [run.tokens[:].tolist() for run in read_runs(file, "C1")]
        assert sorted(found) == sorted(sorted(tokens) for tokens in listed)
        return [Run(run.tokens[:], run.counts[:]) for run in read_runs(file, "C1")]


def merged(runs) -> dict[int, int]:
    parts = list(merge_runs(runs))
    tokens = [token for part in parts for token in part.tokens.tolist()]
    assert tokens == sorted(set(tokens)), "each once, in order"
    return dict(zip(tokens, [count for part in parts for count in part.counts.tolist()], strict=True))


@any_settings
@given(st.lists(column, min_size=1, max_size=5))
def test_counts_are_those_of_a_counter(tmp_path_factory, parts):
    (run,) = runs_of(tmp_path_factory.getbasetemp(), parts)
    expected = Counter(token for part in parts for token in part if token != NO_TOKEN)
    assert run.tokens.tolist() == sorted(expected)
    assert dict(zip(run.tokens.tolist(), run.counts.tolist(), strict=True)) == expected


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(column, min_size=1, max_size=5), min_size=1, max_size=4), st.integers(1, 8), st.integers(1, 30)
)
def test_runs_of_many_days_merge_to_the_counts_of_all(tmp_path_factory, days, run_tokens, merged_tokens):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dictionary, "RUN_TOKENS", run_tokens)
        patch.setattr(counting, "MERGED_TOKENS", merged_tokens)
        runs = [run for day in days for run in runs_of(tmp_path_factory.getbasetemp(), day)]
        assert all(len(run.tokens) <= run_tokens for run in runs)
        found = merged(runs)
    assert found == Counter(token for day in days for part in day for token in part if token != NO_TOKEN)


def test_no_runs_are_no_tokens():
    assert merged([]) == {}
