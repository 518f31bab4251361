"""What `distdnas data` and `--verify` say about prepared data."""

import json
import math

import pytest

from distdnas_hpc.data.inspect import describe, describe_shard, verify_days
from distdnas_hpc.data.prepare import encode_day, merge_days, parse_day, write_manifest
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from tests.data.click_logs import small_data, small_text

SILENT = Progress(None)


@pytest.fixture
def prepared(tmp_path):
    """Two days of 30 and 31 rows in shards of 20; C2, with 50 values, is hashed."""
    for day, rows in enumerate((30, 31)):
        (tmp_path / f"day_{day}").write_text(small_text(rows, first=30 * day))
    data = small_data(tmp_path, days=2, shard_rows=20, max_rows=50)
    parsed = {day: tmp_path / f"parsed_{day}" for day in (1, 2)}
    folder = tmp_path / "prepared"
    for day, path in parsed.items():
        parse_day(data, day, path, folder, SILENT)
    merge_days(data, [1, 2], parsed, folder)
    encoded = {day: encode_day(data, day, path, folder, SILENT) for day, path in parsed.items()}
    write_manifest(data, encoded, folder)
    return folder


def test_description_counts_what_is_there(prepared):
    told = describe(prepared)
    sizes = [[path.stat().st_size for path in sorted(prepared.glob(f"day_0{day}/*"))] for day in (1, 2)]
    assert told["folder"] == str(prepared)
    assert (told["rows"], told["clicks"], told["click_rate"]) == (61, 15, 15 / 61)
    assert told["bytes"] == sum(map(sum, sizes))
    assert told["training_days"] == [1, 2]
    assert told["days"] == [
        {"day": 1, "rows": 30, "clicks": 8, "click_rate": 8 / 30, "shards": 2, "bytes": sum(sizes[0])},
        {"day": 2, "rows": 31, "clicks": 7, "click_rate": 7 / 31, "shards": 2, "bytes": sum(sizes[1])},
    ]
    assert told["sparse"] == [
        {"name": "C1", "rows": 4, "hashed": False, "dropped": 0},
        {"name": "C2", "rows": 50, "hashed": True, "dropped": 0},
        {"name": "C3", "rows": 49, "hashed": False, "dropped": 0},
    ]
    assert told["table_rows"] == 103
    i1, i2 = told["dense"]
    assert (i1["name"], i1["count"], i1["missing_share"], i1["minimum"]) == ("I1", 61, 0, 0)
    assert i1["maximum"] == pytest.approx(math.log(61))
    assert (i2["name"], i2["count"], i2["missing_share"]) == ("I2", 52, 9 / 61)
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_a_column_without_values_has_no_range(tmp_path):
    (tmp_path / "day_0").write_text("1\t\t\t\t\t\n")
    data = small_data(tmp_path)
    parse_day(data, 1, tmp_path / "parsed", tmp_path / "prepared", SILENT)
    merge_days(data, [1], {1: tmp_path / "parsed"}, tmp_path / "prepared")
    encoded = encode_day(data, 1, tmp_path / "parsed", tmp_path / "prepared", SILENT)
    write_manifest(data, {1: encoded}, tmp_path / "prepared")
    told = describe(tmp_path / "prepared")
    assert (told["dense"][0]["missing_share"], told["dense"][0]["minimum"], told["dense"][0]["maximum"]) == (
        1,
        None,
        None,
    )
    json.dumps(told, allow_nan=False)


def test_a_shard_is_described_alone(prepared):
    """The second shard of day 1, rows 20 to 29; the 20 different values of C2 before it are 0 to 19."""
    told = describe_shard(prepared / "day_01/shard_0001.h5")
    assert (told["rows"], told["clicks"], told["click_rate"]) == (10, 3, 0.3)
    assert told["bytes"] == (prepared / "day_01/shard_0001.h5").stat().st_size
    assert told["dense"] == [
        {"name": "I1", "missing": 0, "minimum": 20, "maximum": 29},
        {"name": "I2", "missing": 2, "minimum": 20 * 20 - 50, "maximum": 29 * 29 - 50},
    ]
    assert told["sparse"] == [
        {"name": "C1", "missing": 0, "distinct": 3, "new": 0, "hashed": False},
        {"name": "C2", "missing": 0, "distinct": 10, "new": 10, "hashed": False},
        {"name": "C3", "missing": 2, "distinct": 8, "new": 8, "hashed": False},
    ]


def test_what_is_no_shard_is_named(prepared):
    with pytest.raises(UserError, match="is not a file"):
        describe_shard(prepared)
    with pytest.raises(UserError, match=r"ids\.npy"):
        describe_shard(prepared / "day_01/ids.npy")


def test_whole_files_pass_and_progress_is_told(prepared):
    told = []

    class Recorded(Progress):
        def update(self, fraction, *, rows=None, loss=None):
            told.append((fraction, rows))

    verify_days(prepared, Recorded(None))
    assert len(told) == 6, "two shards and the ids of two days"
    assert told == sorted(told)
    assert told[-1] == (1.0, None)


def test_all_damaged_files_are_named(prepared):
    path = prepared / "day_01/shard_0001.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (prepared / "day_02/shard_0000.h5").unlink()
    (prepared / "day_02/ids.npy").write_bytes(b"")
    with pytest.raises(UserError) as caught:
        verify_days(prepared, SILENT)
    assert str(caught.value) == (
        f"{prepared}: 3 of 6 files are damaged (day_01/shard_0001.h5 has changed, day_02/shard_0000.h5 is missing, "
        "day_02/ids.npy has changed); restore them from a copy, or prepare the data again."
    )
    with pytest.raises(UserError, match=r"day_02/shard_0000.h5 can't be read \(No such file"):
        describe(prepared)


def test_a_folder_without_prepared_data_is_named(tmp_path):
    for look in (lambda: describe(tmp_path), lambda: verify_days(tmp_path, SILENT)):
        with pytest.raises(UserError, match="holds no prepared data"):
            look()
