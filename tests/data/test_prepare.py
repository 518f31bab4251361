"""The whole preparation against a slow one on real rows; faults, interruptions, memory."""

import errno
import gzip
import hashlib
import math
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import yaml

from distdnas_hpc.config import Data
from distdnas_hpc.data import dictionary as dictionary_module
from distdnas_hpc.data import prepare as module
from distdnas_hpc.data import tsv
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.data.prepare import check_raw, encode_day, merge_days, parse_day, write_manifest
from distdnas_hpc.data.rows import MISSING, NO_TOKEN, Columns
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from tests.data.click_logs import (
    REAL,
    assert_equal,
    joined,
    read_codes,
    read_ids,
    real_data,
    slow_real_day,
    slow_rows,
    slow_transform,
    small_data,
    small_text,
)

SILENT = Progress(None)
REAL_TEXT = gzip.decompress(REAL.read_bytes())
TRAINING_DAYS = (1, 2, 4)


def prepare(data: Data, folder: Path, training_days=TRAINING_DAYS) -> dict:
    """All steps in order; returns what each told."""
    parsed = {day: folder / f"parsed_{day}" for day in range(1, data.days + 1)}
    prepared = folder / "prepared"
    told = {
        "parse": {
            day: parse_day(data, day, path, prepared, SILENT, training=day in training_days)
            for day, path in parsed.items()
        }
    }
    told["merge"] = merge_days(data, training_days, parsed, prepared)
    told["encode"] = {day: encode_day(data, day, path, prepared, SILENT) for day, path in parsed.items()}
    told["manifest"] = write_manifest(data, told["encode"], prepared)
    return told


def files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_day(prepared: Path, day: int) -> Columns:
    """The rows of a prepared day, with ids."""
    return read_ids(prepared, Manifest.load(prepared).days[day])


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    return folder / "prepared", prepare(real_data(shard_rows=500), folder)


@pytest.fixture(scope="module")
def capped(tmp_path_factory):
    """Real rows with tables of at most 200 rows, so that most columns are hashed."""
    folder = tmp_path_factory.mktemp("capped")
    return folder / "prepared", prepare(real_data(max_rows=200), folder)


@cache
def dictionaries() -> tuple[dict[int, int], ...]:
    """Token → id of each column, from the real training days."""
    days = joined(slow_real_day(day) for day in TRAINING_DAYS)
    return tuple(
        {token: i for i, token in enumerate(sorted(set(column.tolist()) - {NO_TOKEN}), start=1)}
        for column in days.sparse
    )


@pytest.mark.parametrize("day", [1, 3, 6])
def test_shards_hold_the_ids_of_the_slow_reference(real, day):
    prepared, _ = real
    expected = slow_real_day(day)
    found = read_day(prepared, day)
    assert (found.label == expected.label).all()
    assert (found.dense == expected.dense).all()
    for ids, tokens, dictionary in zip(found.sparse, expected.sparse, dictionaries(), strict=True):
        assert ids.tolist() == [dictionary.get(token, 0) for token in tokens.tolist()]


def test_only_training_days_decide_ids_and_statistics(real):
    prepared, told = real
    assert told["merge"] == {"table_sizes": [len(d) + 1 for d in dictionaries()], "overflowing": []}
    manifest = Manifest.load(prepared)
    days = joined(slow_real_day(day) for day in TRAINING_DAYS)
    for j, column in enumerate(days.dense):
        values = [slow_transform(int(x)) for x in column if x != MISSING]
        assert manifest.dense_mean[j] == pytest.approx(statistics.fmean(values), rel=1e-12)
        assert manifest.dense_std[j] == pytest.approx(math.sqrt(statistics.pvariance(values)), rel=1e-9)


def test_tests_of_unseen_tokens_mean_something():
    unseen = [set(c.tolist()) - d.keys() for c, d in zip(slow_real_day(6).sparse, dictionaries(), strict=True)]
    assert sum(map(len, unseen)) > 100


def test_counts_are_those_of_the_rows(real):
    _, told = real
    text = REAL_TEXT.splitlines(keepends=True)
    for day in range(1, 7):
        clicks = int(slow_real_day(day).label.sum())
        size = sum(map(len, text[(day - 1) * 1200 : day * 1200]))
        assert told["parse"][day] == {"rows": 1200, "clicks": clicks, "bytes": size, "rejected": 0}
        assert (told["encode"][day]["rows"], told["encode"][day]["clicks"]) == (1200, clicks)
    assert told["manifest"] == {"days": 6, "rows": 7200, "clicks": 1549}


def test_results_are_plain_values(real):
    _, told = real
    assert yaml.safe_load(yaml.safe_dump(told)) == told


def test_a_day_is_split_into_shards(real):
    prepared, told = real
    shards = told["encode"][2]["shards"]
    assert [(s["name"], s["rows"]) for s in shards] == [
        ("day_02/shard_0000.h5", 500),
        ("day_02/shard_0001.h5", 500),
        ("day_02/shard_0002.h5", 200),
    ]
    assert [s["sha256"] for s in shards] == [files(prepared)[s["name"]] for s in shards]


def test_columns_above_the_cap_are_hashed_and_the_others_exact(capped):
    prepared, told = capped
    sizes = [min(len(d) + 1, 200) for d in dictionaries()]
    overflowing = [f"C{j + 1}" for j, d in enumerate(dictionaries()) if len(d) + 1 > 200]
    assert 5 < len(overflowing) < 21, "both kinds are there"
    assert told["merge"] == {"table_sizes": sizes, "overflowing": overflowing}
    expected = slow_real_day(6)
    found = read_day(prepared, 6)
    for j, dictionary in enumerate(dictionaries()):
        ids, tokens = found.sparse[j].tolist(), expected.sparse[j].tolist()
        if f"C{j + 1}" in overflowing:
            assert all((id_ == 0) == (token == NO_TOKEN) and id_ < 200 for id_, token in zip(ids, tokens, strict=True))
            assert len(set(zip(tokens, ids, strict=True))) == len(set(tokens)), "equal tokens, equal ids"
        else:
            assert ids == [dictionary.get(token, 0) for token in tokens]


@pytest.mark.parametrize(
    ("cap", "hashed"),
    [(51, []), (50, ["C2"]), (41, ["C2"]), (40, ["C2", "C3"]), (4, ["C2", "C3"]), (3, ["C1", "C2", "C3"])],
)
def test_the_cap_counts_id_0(tmp_path, cap, hashed):
    # C1 has 3 tokens, C2 has 50, C3 has 40
    (tmp_path / "day_0").write_text(small_text(50))
    told = prepare(small_data(tmp_path, max_rows=cap), tmp_path, [1])["merge"]
    assert told["overflowing"] == hashed
    assert told["table_sizes"] == [min(n + 1, cap) for n in (3, 50, 40)]


def test_columns_that_overflow_only_together_are_hashed(tmp_path):
    for day, first in enumerate((0, 25)):
        (tmp_path / f"day_{day}").write_text(small_text(25, first=first))
    told = prepare(small_data(tmp_path, days=2, max_rows=30), tmp_path, [1, 2])["merge"]
    assert told == {"table_sizes": [4, 30, 30], "overflowing": ["C2", "C3"]}
    told = prepare(small_data(tmp_path, days=2, max_rows=30), tmp_path, [2])["merge"]
    assert told == {"table_sizes": [4, 26, 21], "overflowing": []}


@pytest.mark.parametrize(("cap", "hashed"), [(51, []), (50, ["C2"])])
def test_the_cap_counts_id_0_across_days(tmp_path, cap, hashed):
    for day, first in enumerate((0, 25)):  # 25 tokens of C2 a day, 50 together
        (tmp_path / f"day_{day}").write_text(small_text(25, first=first))
    told = prepare(small_data(tmp_path, days=2, max_rows=cap), tmp_path, [1, 2])["merge"]
    assert told == {"table_sizes": [4, cap, 41], "overflowing": hashed}


def test_frequent_tokens_are_kept_and_the_others_are_unseen(tmp_path):
    told = prepare(real_data(max_rows=200, overflow="frequent", min_count=3), tmp_path)
    assert told["merge"]["overflowing"] == []
    days = joined(slow_real_day(day) for day in TRAINING_DAYS)
    expected = slow_real_day(6)
    found = read_day(tmp_path / "prepared", 6)
    for j, column in enumerate(days.sparse):
        counts = Counter(column[column != NO_TOKEN].tolist())
        often = [token for token in counts if counts[token] >= 3]
        kept = sorted(sorted(often, key=lambda token: (-counts[token], token))[:199])
        assert told["merge"]["table_sizes"][j] == len(kept) + 1
        dictionary = {token: i for i, token in enumerate(kept, start=1)}
        assert found.sparse[j].tolist() == [dictionary.get(token, 0) for token in expected.sparse[j].tolist()]
        described = yaml.safe_load((tmp_path / "prepared/manifest.yaml").read_text())["sparse"][f"C{j + 1}"]
        assert described == {"rows": len(kept) + 1, "hashed": False, "dropped": len(counts) - len(kept)}


@pytest.mark.parametrize("changes", [{}, {"overflow": "frequent", "max_rows": 200}], ids=["exact", "frequent"])
def test_short_lists_of_tokens_change_codes_but_no_id(tmp_path, monkeypatch, changes):
    data = real_data(shard_rows=500, **changes)
    prepare(data, tmp_path / "long")
    monkeypatch.setattr(dictionary_module, "RUN_TOKENS", 100)
    prepare(data, tmp_path / "short")
    long, short = (tmp_path / name / "prepared" for name in ("long", "short"))
    assert (long / "columns.yaml").read_text() == (short / "columns.yaml").read_text()
    for day in (1, 6):
        assert_equal(read_day(long, day), read_day(short, day))
        codes = [read_codes(folder, Manifest.load(folder).days[day]).sparse.max(axis=1) for folder in (long, short)]
        assert (codes[1] > codes[0]).sum() > 10, "tokens are in several lists"


def test_a_second_run_gives_the_same_files(real, tmp_path):
    prepare(real_data(shard_rows=500), tmp_path)
    assert files(tmp_path / "prepared") == files(real[0])
    before = files(tmp_path)
    prepare(real_data(shard_rows=500), tmp_path)
    assert files(tmp_path) == before


def test_steps_share_only_files(real, tmp_path):
    data = real_data(shard_rows=500)
    parsed, moved, prepared = tmp_path / "parsed", tmp_path / "elsewhere", tmp_path / "prepared"
    parse_day(data, 1, parsed, prepared, SILENT)
    shutil.move(parsed, moved)
    for name in ("ids.h5", "columns.yaml"):
        shutil.copy(real[0] / name, prepared)
    assert encode_day(data, 1, moved, prepared, SILENT) == real[1]["encode"][1]


def test_a_day_that_is_not_trained_on_lists_all_tokens_of_columns_that_are_exact(tmp_path):
    (tmp_path / "day_0").write_text(small_text(10))
    (tmp_path / "day_1").write_text(small_text(100))
    told = prepare(small_data(tmp_path, days=2, max_rows=20), tmp_path, [1])  # of C2 day 1 has 10 tokens, day 2 has 50
    assert told["merge"]["overflowing"] == []
    expected, ids = slow_rows(small_text(100), 2), read_day(tmp_path / "prepared", 2)
    known = sorted(set(slow_rows(small_text(10), 2).sparse[1].tolist()))
    assert ids.sparse[1].tolist() == [known.index(t) + 1 if t in known else 0 for t in expected.sparse[1].tolist()]


def test_a_day_whose_last_rows_are_all_rejected_ends_with_a_full_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(tsv, "BLOCK_BYTES", 300)
    (tmp_path / "day_0").write_text(small_text(60) + "fault\n" * 200)
    data = small_data(tmp_path, shard_rows=30, on_bad_row="skip")
    told = prepare(data, tmp_path, [1])
    assert told["parse"][1]["rejected"] == 200
    assert [shard["rows"] for shard in told["encode"][1]["shards"]] == [30, 30]


def test_a_fault_late_in_a_day_leaves_no_file(tmp_path, monkeypatch, new_threads):
    monkeypatch.setattr(tsv, "BLOCK_BYTES", 300)
    (tmp_path / "day_0").write_text(small_text(100) + "fault\n")
    with pytest.raises(UserError, match="line 101"):
        parse_day(small_data(tmp_path), 1, tmp_path / "parsed", tmp_path / "prepared", SILENT)
    assert files(tmp_path / "parsed") == files(tmp_path / "prepared") == {}
    assert new_threads() == []


class Killed(Progress):
    """Kills its own process, like the kernel or Slurm would, when it hears of so many rows and is `ready`."""

    def __init__(self, rows: int, ready=lambda: True):
        super().__init__(None)
        self.rows = rows
        self.ready = ready

    def update(self, fraction, *, rows=None, loss=None):
        if rows >= self.rows:
            give_up = time.monotonic() + 20
            while not self.ready() and time.monotonic() < give_up:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)


def in_a_process_that_dies(work) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize("moment", [1, 50])
def test_a_kill_leaves_nothing_half_written_and_the_step_can_be_run_again(tmp_path, monkeypatch, moment):
    monkeypatch.setattr(tsv, "BLOCK_BYTES", 300)
    (tmp_path / "day_0").write_text(small_text(100))
    data = small_data(tmp_path)
    parsed, prepared, day = tmp_path / "parsed", tmp_path / "prepared", tmp_path / "prepared/day_01"

    in_a_process_that_dies(lambda: parse_day(data, 1, parsed, prepared, Killed(moment)))
    assert visible(parsed) == visible(day) == []
    assert list(day.glob(".*.tmp")), "what was under way"
    parse_day(data, 1, parsed, prepared, SILENT)
    assert visible(day) == ["shard_0000.h5"]
    assert not [*parsed.glob(".*"), *day.glob(".*")]
    merge_days(data, [1], {1: parsed}, prepared)

    encoded = encode_day(data, 1, parsed, prepared, SILENT)
    assert visible(day) == ["ids.npy", "shard_0000.h5"]
    with pytest.raises(UserError, match="prepare the data first"):
        Manifest.load(prepared)
    write_manifest(data, {1: encoded}, prepared)
    assert Manifest.load(prepared, data).days[1].rows == 100


@pytest.mark.parametrize("lists_of", [5_000_000, 7], ids=["one list", "lists of 7"])
@pytest.mark.parametrize("changes", [{}, {"max_rows": 20}, {"min_count": 2}], ids=["exact", "hashed", "counted"])
def test_finished_shards_are_kept_and_damaged_ones_made_again(tmp_path, monkeypatch, changes, lists_of):
    monkeypatch.setattr(tsv, "BLOCK_BYTES", 300)
    monkeypatch.setattr(dictionary_module, "RUN_TOKENS", lists_of)
    (tmp_path / "day_0").write_text(small_text(100))
    data = small_data(tmp_path, shard_rows=30, **changes)
    parsed, prepared, day = tmp_path / "parsed", tmp_path / "prepared", tmp_path / "prepared/day_01"
    parse_day(data, 1, parsed, prepared, SILENT)
    expected = files(day), files(parsed)
    assert visible(day) == [f"shard_000{i}.h5" for i in range(4)] == sorted(expected[0])

    def changed() -> dict[str, int]:
        return {name: (day / name).stat().st_mtime_ns for name in visible(day)}

    def on_record() -> bool:
        record = day / ".parsing.yaml"
        return record.exists() and record.read_text().count("sha256") == 3

    for damage, kept in (
        (lambda: None, 3),
        (lambda: (day / "shard_0001.h5").write_bytes(b"damaged"), 1),
        (lambda: (day / "shard_0000.h5").unlink(), 0),
    ):
        shutil.rmtree(day)
        in_a_process_that_dies(lambda: parse_day(data, 1, parsed, prepared, Killed(91, on_record)))  # in the last shard
        assert visible(day) == [f"shard_000{i}.h5" for i in range(3)]
        damage()
        before = changed()
        parse_day(data, 1, parsed, prepared, SILENT)
        assert (files(day), files(parsed)) == expected, "nor are hidden files left"
        after = changed()
        assert [name for name in before if before[name] == after[name]] == sorted(before)[:kept]


@pytest.mark.parametrize("change", [{"shard_rows": 20}, {"max_rows": 10}, {"on_bad_row": "skip"}])
def test_shards_of_another_config_are_not_kept(tmp_path, monkeypatch, change):
    monkeypatch.setattr(tsv, "BLOCK_BYTES", 300)
    (tmp_path / "day_0").write_text(small_text(100))
    parsed, prepared = tmp_path / "parsed", tmp_path / "prepared"
    data = small_data(tmp_path, shard_rows=30)
    in_a_process_that_dies(lambda: parse_day(data, 1, parsed, prepared, Killed(91)))
    other = small_data(tmp_path, **{"shard_rows": 30} | change)
    parse_day(other, 1, parsed, prepared, SILENT)
    found = files(tmp_path)
    shutil.rmtree(parsed)
    shutil.rmtree(prepared)
    parse_day(other, 1, parsed, prepared, SILENT)
    assert files(tmp_path) == found


def test_a_full_disk_is_told_and_what_was_finished_is_kept(tmp_path, small_disk):
    folder, resize = small_disk
    (tmp_path / "log_0").write_bytes(REAL_TEXT * 10)
    data = Data.model_validate({"schema": "criteo", "raw": f"{tmp_path}/log_{{day}}", "days": 1, "shard_rows": 15_000})
    parsed, prepared = folder / "parsed", folder / "prepared"
    with pytest.raises(UserError, match=r"day_01/shard_000\d.h5 can't be written: no space left on device; make room"):
        parse_day(data, 1, parsed, prepared, SILENT)
    kept = {name: sha256 for name, sha256 in files(prepared).items() if name.endswith(".h5")}
    assert [Path(name).name for name in kept] == [f"shard_{i:04d}.h5" for i in range(len(kept))] != []
    resize(65_536)
    alone = tmp_path / "alone"
    for one, other in ((parsed, prepared), (tmp_path / "parsed", alone)):
        parse_day(data, 1, one, other, SILENT)
        merge_days(data, [1], {1: one}, other)
        encode_day(data, 1, one, other, SILENT)
    assert files(prepared) == files(alone)
    assert kept.items() <= files(prepared).items()


@contextmanager
def full_but_for(folder: Path, pages: int):
    """Fill the file system of a folder, all but some pages of it."""
    room = os.statvfs(folder)
    with (folder / "filler").open("wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, max(room.f_bavail - pages, 1) * room.f_bsize)
    try:
        yield
    finally:
        (folder / "filler").unlink()


def test_a_disk_that_is_full_at_any_step_is_told_and_the_step_goes_on(tmp_path, small_disk):
    folder, _ = small_disk
    (tmp_path / "day_0").write_text(small_text(100))
    data = small_data(tmp_path, shard_rows=40, min_count=2)
    prepare(data, tmp_path, [1])
    parsed, prepared = folder / "parsed_1", folder / "prepared"
    encoded = {}
    steps = (
        lambda: parse_day(data, 1, parsed, prepared, SILENT),
        lambda: merge_days(data, [1], {1: parsed}, prepared),
        lambda: encoded.update({1: encode_day(data, 1, parsed, prepared, SILENT)}),
        lambda: write_manifest(data, encoded, prepared),
    )
    told = set()
    for step in steps:
        for pages in range(100):
            try:
                with full_but_for(folder, pages):
                    step()
                break
            except UserError as error:
                told.update(re.findall(r"(\w*\.\w+) can't be written: no space left on device", str(error)))
            except OSError as error:  # a folder that can't be made
                assert (error.errno, pages) == (errno.ENOSPC, 0)
    for name in ("parsed_1", "prepared"):
        assert files(folder / name) == files(tmp_path / name)
    # Which others are told depends on how far the thread that seals shards has got.
    assert told >= {"shard_0000.h5", "ids.h5", "columns.yaml", "ids.npy", "manifest.yaml"}


def test_a_disk_that_says_so_late_that_it_is_full_is_told(tmp_path, monkeypatch):
    # As NFS does, when a file is synced.
    (tmp_path / "day_0").write_text(small_text(10))

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"shard_0000\.h5 can't be written: no space left on device; make room there"):
        parse_day(small_data(tmp_path), 1, tmp_path / "parsed", tmp_path / "prepared", SILENT)


def test_rejected_rows_are_counted_and_the_first_hundred_listed(tmp_path):
    lines = small_text(500).splitlines(keepends=True)
    lines[::4] = [f"{i}\tfaulty\n" for i in range(125)]
    (tmp_path / "day_0").write_text("".join(lines))
    data = small_data(tmp_path, on_bad_row="skip")
    told = parse_day(data, 1, tmp_path / "parsed", tmp_path / "prepared", SILENT)
    assert (told["rows"], told["rejected"]) == (375, 125)
    header, *listed = (tmp_path / "parsed/rejected.tsv").read_text().splitlines()
    assert header == "file\tline\treason\ttext"
    assert len(listed) == 100
    path, line, reason, text = listed[1].split("\t", 3)
    assert (path, line, text) == (f"{tmp_path}/day_0", "5", "1\tfaulty")
    assert "2 fields" in reason
    (tmp_path / "day_0").write_text(small_text(10))
    parse_day(data, 1, tmp_path / "parsed", tmp_path / "prepared", SILENT)
    assert not (tmp_path / "parsed/rejected.tsv").exists()


def test_an_earlier_step_that_is_missing_is_named(tmp_path):
    (tmp_path / "day_0").write_text(small_text(10))
    data = small_data(tmp_path)
    with pytest.raises(UserError, match=f"{tmp_path}/parsed/day.yaml does not exist"):
        merge_days(data, [1], {1: tmp_path / "parsed"}, tmp_path / "prepared")
    parse_day(data, 1, tmp_path / "parsed", tmp_path / "prepared", SILENT)
    with pytest.raises(UserError, match=f"{tmp_path}/prepared/ids.h5 does not exist"):
        encode_day(data, 1, tmp_path / "parsed", tmp_path / "prepared", SILENT)


def test_progress_goes_from_0_to_1(tmp_path, monkeypatch):
    told = []

    class Recorded(Progress):
        def update(self, fraction, *, rows=None, loss=None):
            told.append((fraction, rows))

    monkeypatch.setattr(tsv, "BLOCK_BYTES", 300)
    (tmp_path / "day_0").write_text(small_text(100))
    data = small_data(tmp_path, shard_rows=50)
    parse_day(data, 1, tmp_path / "parsed", tmp_path / "prepared", Recorded(None))
    assert told == sorted(told)
    assert [fraction for fraction, _ in told].count(1.0) == 1
    assert told[-1] == (1.0, 100)
    merge_days(data, [1], {1: tmp_path / "parsed"}, tmp_path / "prepared")
    told.clear()
    encode_day(data, 1, tmp_path / "parsed", tmp_path / "prepared", Recorded(None))
    assert told == [(1.0, 100)]


def test_good_raw_files_pass_and_nothing_is_written(tmp_path):
    check_raw(real_data())
    (tmp_path / "day_0").write_text(small_text(5))
    check_raw(small_data(tmp_path))
    assert visible(tmp_path) == ["day_0"]


def test_check_names_a_missing_day_file(tmp_path):
    for day in (0, 1, 3):
        (tmp_path / f"day_{day}").write_text(small_text(5))
    with pytest.raises(UserError, match=f"{tmp_path}/day_2 does not exist"):
        check_raw(small_data(tmp_path, days=4))


@pytest.mark.parametrize("content", ["", "1\t2\n"])
def test_check_names_a_faulty_day_file(tmp_path, content):
    for day in range(3):
        (tmp_path / f"day_{day}").write_text(content if day == 2 else small_text(5))
    with pytest.raises(UserError, match=f"{tmp_path}/day_2"):
        check_raw(small_data(tmp_path, days=3))


def test_check_reads_a_small_cut_file_to_its_last_day(tmp_path):
    text = REAL_TEXT.decode().splitlines(keepends=True)
    path = tmp_path / "log"
    path.write_text("".join(text[:7000]))
    with pytest.raises(UserError, match=r"has 7,000 rows, but day 6 needs rows 6,001-7,200; set data.days to 5"):
        check_raw(real_data(raw=str(path)))
    check_raw(real_data(raw=str(path), days=5))
    path.write_text("".join(text[:7199]) + text[7199].replace("\t", " ", 1))
    with pytest.raises(UserError, match=r"line 7200: 39 fields, but the schema has 40"):
        check_raw(real_data(raw=str(path)))


def test_check_reads_only_the_start_of_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SMALL_FILE_BYTES", 1000)
    monkeypatch.setattr(tsv, "BLOCK_BYTES", 300)
    path = tmp_path / "log"
    path.write_text(small_text(100) + "fault\n")
    check_raw(small_data(tmp_path, raw=str(path), rows_per_day=101))
    path.write_text("fault\n" + small_text(100))
    with pytest.raises(UserError, match="line 1"):
        check_raw(small_data(tmp_path, raw=str(path), rows_per_day=101))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_memory_does_not_grow_with_the_day(tmp_path):
    program = """if True:
        import re, sys
        from pathlib import Path
        from distdnas_hpc.config import Data
        from distdnas_hpc.data.prepare import encode_day, merge_days, parse_day
        from distdnas_hpc.progress import Progress
        data, folder = Data(schema="criteo", raw=sys.argv[1] + "/day_{day}", days=2), Path(sys.argv[1])
        day = int(sys.argv[2])
        parse_day(data, day, folder / "parsed", folder / "prepared", Progress(None))
        merge_days(data, [day], {day: folder / "parsed"}, folder / "prepared")
        encode_day(data, day, folder / "parsed", folder / "prepared", Progress(None))
        # Not getrusage: its peak includes the process that started this one.
        print(1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]))
    """
    # A fixed threshold keeps glibc from fragmenting its heap, which looks like growth (some 20 MB) but is not.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "262144"}
    peaks = []
    for day, times in ((1, 30), (2, 70)):  # by 30 times (216,000 rows) every buffer has been full
        (tmp_path / f"day_{day - 1}").write_bytes(REAL_TEXT * times)
        command = [sys.executable, "-c", program, tmp_path, str(day)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        peaks.append(int(done.stdout))
    # 288,000 rows more: kept as text they are 70 MB, as parsed arrays 75 MB, as ids alone 30 MB.
    assert peaks[1] - peaks[0] < 12e6
