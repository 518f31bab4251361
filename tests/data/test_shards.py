"""Shards come back as they were written, or not at all."""

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdnas_hpc.data import shards
from distdnas_hpc.data.rows import Columns
from distdnas_hpc.data.shards import CHUNK_ROWS, create_shard, file_sha256, open_shard
from distdnas_hpc.errors import UserError
from tests.data.click_logs import assert_equal, joined


def some_rows(n: int, *, seed: int = 1) -> Columns:
    rng = np.random.default_rng(seed)
    return Columns(
        rng.integers(0, 2, n, np.uint8),
        rng.integers(-(2**31), 2**31, (2, n), np.int32),
        rng.integers(0, 2**31, (3, n), np.int32),
    )


NAMES = ("C1", "C2", "C3")
TOKENS = [np.array(tokens, np.int64) for tokens in ([5, 2**32 - 1], [], [7, 2**32, 2**63 - 1])]


def write(path: Path, *parts: Columns) -> Path:
    with create_shard(path, 2, 3) as shard:
        for rows in parts:
            shard.append(rows)
        shard.finish(NAMES, TOKENS, (False, True, False))
    return path


def read(path: Path, start=0, stop=None) -> Columns:
    with open_shard(path) as shard:
        return shard.read(start, shard.rows if stop is None else stop)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(0, 200), st.integers(0, 200))
@settings(deadline=None, max_examples=30)
def test_any_parts_come_back_as_one(tmp_path_factory, sizes, start, length):
    parts = [some_rows(n, seed=i) for i, n in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "CHUNK_ROWS", 16)
        path = write(tmp_path_factory.getbasetemp() / "any.h5", *parts)
    whole = joined(parts)
    assert_equal(read(path), whole)
    assert_equal(read(path, start, start + length), whole.part(start, start + length))


def test_parts_across_real_chunks_come_back(tmp_path):
    parts = [some_rows(n, seed=n) for n in (CHUNK_ROWS - 1, 2, 2 * CHUNK_ROWS, 77)]
    assert_equal(read(write(tmp_path / "a.h5", *parts)), joined(parts))


def test_rows_are_read_into_arrays_of_the_reader(tmp_path):
    with open_shard(write(tmp_path / "a.h5", some_rows(50))) as shard:
        mine = shard.allocate(20)
        shard.read_into(mine, 10)
    assert_equal(mine, some_rows(50).part(10, 30))


def test_tokens_come_back_with_32_bits_or_more_and_who_is_hashed(tmp_path):
    with open_shard(write(tmp_path / "a.h5", some_rows(3))) as shard:
        for name, tokens, hashed in zip(NAMES, TOKENS, (False, True, False), strict=True):
            assert shard.tokens(name).tolist() == tokens.tolist()
            assert shard.token_count(name) == len(tokens)
            assert shard.hashed(name) is hashed


def test_the_file_is_what_the_documentation_says(tmp_path):
    with h5py.File(write(tmp_path / "a.h5", some_rows(40_000))) as file:
        columns = {name: file[name] for name in ("label", "dense", "sparse")}
        assert {name: (data.dtype.str, data.shape) for name, data in columns.items()} == {
            "label": ("|u1", (40_000,)),
            "dense": ("<i4", (2, 40_000)),
            "sparse": ("<i4", (3, 40_000)),
        }
        for data in columns.values():
            assert data.chunks == (*data.shape[:-1], CHUNK_ROWS)
            filters = data.id.get_create_plist()
            assert filters.get_nfilters() == 1
            assert filters.get_filter(0)[0] == hdf5plugin.BSHUF_ID
        assert {name: data.dtype.str for name, data in file["tokens"].items()} == {
            "C1": "<u4",
            "C2": "<u4",
            "C3": "<i8",
        }


def test_equal_rows_give_equal_bytes(tmp_path):
    rows = some_rows(500)
    a, b = (write(tmp_path / name, rows) for name in ("a.h5", "b.h5"))
    assert file_sha256(a) == file_sha256(b) == hashlib.sha256(a.read_bytes()).hexdigest()


def test_a_failure_while_writing_leaves_nothing_and_spares_the_old_file(tmp_path):
    old = write(tmp_path / "old.h5", some_rows(5))
    for path in (tmp_path / "new.h5", old):
        with pytest.raises(KeyboardInterrupt), create_shard(path, 2, 3) as shard:
            shard.append(some_rows(50_000))
            raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [old]
    assert_equal(read(old), some_rows(5))


def test_a_kill_while_writing_leaves_no_file_of_that_name(tmp_path):
    program = """if True:
        import os, signal, sys
        import numpy as np
        from pathlib import Path
        from distdnas_hpc.data.rows import Columns
        from distdnas_hpc.data.shards import create_shard
        n = 50_000
        with create_shard(Path(sys.argv[1]), 2, 3) as shard:
            shard.append(Columns(np.zeros(n, "u1"), np.zeros((2, n), "i4"), np.zeros((3, n), "i4")))
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "a.h5"], check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("*.h5")) == []
    assert_equal(read(write(tmp_path / "a.h5", some_rows(9))), some_rows(9))


def test_reading_takes_no_lock(tmp_path):
    path = write(tmp_path / "a.h5", some_rows(9))
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert_equal(read(path), some_rows(9))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=rf"{tmp_path}/a.h5 does not exist; prepare the data again"):
        read(tmp_path / "a.h5")


def cut(path: Path) -> None:
    os.truncate(path, 3_000)


def overwrite_a_chunk(path: Path) -> None:
    with h5py.File(path) as file:
        offset = file["sparse"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 64)


def drop_labels(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["label"]


@pytest.mark.parametrize("damage", [cut, overwrite_a_chunk, drop_labels])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = write(tmp_path / "a.h5", some_rows(9_000))
    damage(path)
    with pytest.raises(UserError, match=rf"{path} can't be read .*; prepare the data again"):
        read(path)
