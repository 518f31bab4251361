"""The manifest says what is there, and is refused when it is not the right one."""

import pytest
import yaml

from distdnas_hpc.data.manifest import IdsInfo, Manifest
from distdnas_hpc.data.prepare import encode_day, merge_days, parse_day, write_manifest
from distdnas_hpc.data.shards import ShardInfo
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from tests.data.click_logs import small_data, small_text


@pytest.fixture
def prepared(tmp_path):
    """Two days of 30 and 31 rows in shards of 20."""
    for day, rows in enumerate((30, 31)):
        (tmp_path / f"day_{day}").write_text(small_text(rows))
    data = small_data(tmp_path, days=2, shard_rows=20)
    parsed = {day: tmp_path / f"parsed_{day}" for day in (1, 2)}
    folder = tmp_path / "prepared"
    for day, path in parsed.items():
        parse_day(data, day, path, folder, Progress(None))
    merge_days(data, [1], parsed, folder)
    encoded = {day: encode_day(data, day, path, folder, Progress(None)) for day, path in parsed.items()}
    write_manifest(data, encoded, folder)
    return data, folder, encoded


def test_what_was_written_is_read(prepared):
    data, folder, encoded = prepared
    manifest = Manifest.load(folder, data)
    assert manifest.folder == folder
    assert list(manifest.days) == [1, 2]
    assert (manifest.days[2].rows, manifest.days[2].clicks) == (31, 8)
    assert manifest.days[2].shards == tuple(ShardInfo(**shard) for shard in encoded[2]["shards"])
    assert [shard.rows for shard in manifest.days[2].shards] == [20, 11]
    assert manifest.days[2].ids == IdsInfo("day_02/ids.npy", (3, 31, 24), encoded[2]["ids"]["sha256"])
    assert list(manifest.days[2].files) == ["day_02/shard_0000.h5", "day_02/shard_0001.h5", "day_02/ids.npy"]
    assert manifest.table_sizes == (4, 31, 25)
    assert manifest.dense_columns == ("I1", "I2")
    assert manifest.sparse_columns == ("C1", "C2", "C3")
    assert len(manifest.dense_mean) == len(manifest.dense_std) == 2


def test_columns_stay_in_order_beyond_nine(tmp_path):
    schema = {"dense": 12, "sparse": 11}
    data = small_data(tmp_path, schema=schema)
    fields = ["1", *map(str, range(12)), *(f"{j:08x}" for j in range(11))]
    (tmp_path / "day_0").write_text("\t".join(fields) + "\n")
    parsed, folder = tmp_path / "parsed", tmp_path / "prepared"
    parse_day(data, 1, parsed, folder, Progress(None))
    merge_days(data, [1], {1: parsed}, folder)
    write_manifest(data, {1: encode_day(data, 1, parsed, folder, Progress(None))}, folder)
    manifest = Manifest.load(folder)
    assert manifest.dense_columns == data.schema_.dense_names
    assert manifest.sparse_columns == data.schema_.sparse_names
    assert list(manifest.dense_mean) == sorted(manifest.dense_mean)


def test_a_folder_without_a_manifest_is_named(tmp_path):
    with pytest.raises(UserError, match=rf"{tmp_path} holds no prepared data \(manifest.yaml is missing\)"):
        Manifest.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"max_rows": 7}, "data.max_rows"),
        ({"raw": "other_{day}"}, "data.raw"),
        ({"schema": {"dense": 3, "sparse": 2}}, "data.schema"),
        ({"days": 3, "shard_rows": 9}, "data.days, data.shard_rows"),
    ],
)
def test_a_manifest_of_another_config_is_refused(prepared, tmp_path, change, key):
    _, folder, _ = prepared
    other = small_data(tmp_path, **{"days": 2, "shard_rows": 20} | change)
    with pytest.raises(UserError, match=rf"{folder}/manifest.yaml is of .* another config \(it differs in {key}\)"):
        Manifest.load(folder, other)
    Manifest.load(folder)  # nobody asked


@pytest.mark.parametrize("key", ["data", "days", "dense", "sparse"])
def test_a_manifest_that_lost_a_part_is_refused(prepared, key):
    data, folder, _ = prepared
    path = folder / "manifest.yaml"
    content = yaml.safe_load(path.read_text())
    for damaged in ({k: v for k, v in content.items() if k != key}, content | {key: 3}, content | {key: None}):
        path.write_text(yaml.safe_dump(damaged))
        with pytest.raises(UserError, match=rf"{path} is damaged .* prepare the data again"):
            Manifest.load(folder, data)


@pytest.mark.parametrize("content", ["", "days: [", "- 1"])
def test_a_manifest_that_is_no_mapping_is_refused(prepared, content):
    _, folder, _ = prepared
    (folder / "manifest.yaml").write_text(content)
    with pytest.raises(UserError, match=r"manifest\.yaml"):
        Manifest.load(folder)
