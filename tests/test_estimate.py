"""What a run will take, against what is known exactly."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distdnas_hpc import estimate
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.config import Config
from distdnas_hpc.storage import write_yaml
from tests.cluster.small_stages import small_config

LINES = b"".join(b"1\t%d\tabcdef12\n" % (n % 7) for n in range(3000))


def config_of(folder, data: dict, **changes) -> Config:
    schema = {"dense": 1, "sparse": 1} if data.get("format", "tsv") == "tsv" else None
    tree = {"schema": schema, "raw": str(folder / "day_{day}"), "days": 3, **data}
    return small_config(folder / "run", data=tree, **changes)


def test_rows_of_days_cut_from_one_file_are_what_the_config_says(tmp_path):
    data = {"raw": str(tmp_path / "all"), "rows_per_day": 70}
    assert estimate.count_rows(config_of(tmp_path, data)) == ({1: 70, 2: 70, 3: 70}, "data.rows_per_day")


@pytest.mark.parametrize("packed", [False, True])
def test_rows_of_text_are_taken_from_sizes(packed, tmp_path):
    for day in range(3):
        text = LINES * (day + 1)
        (tmp_path / f"day_{day}").write_bytes(gzip.compress(text, 1) if packed else text)
    rows = estimate.count_rows(config_of(tmp_path, {})).of_day
    assert rows[1] == 3000, "all of it is looked at"
    if not packed:
        assert rows == {1: 3000, 2: 6000, 3: 9000}


def test_a_file_longer_than_the_sample_is_judged_by_its_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "SAMPLE", 10_000)
    for day in range(3):
        (tmp_path / f"day_{day}").write_bytes(gzip.compress(LINES * 200, 6))
    rows = estimate.count_rows(config_of(tmp_path, {})).of_day[1]
    assert 540_000 < rows < 660_000, "600,000 all alike"


def test_rows_of_parquet_are_counted_and_spread_over_the_days_of_one_file(tmp_path):
    pq.write_table(
        pa.table({"y": [0, 1] * 30, "a": [1] * 60, "b": ["x"] * 60, "t": [1] * 60}), tmp_path / "all.parquet"
    )
    schema = {"format": "parquet", "label": "y", "dense": ["a"], "sparse": ["b"]}
    config = config_of(tmp_path, {"schema": schema, "raw": str(tmp_path / "all.parquet"), "day": {"column": "t"}})
    assert estimate.count_rows(config) == ({1: 20, 2: 20, 3: 20}, "the raw files")


def test_disk_and_tables_at_the_papers_size(tmp_path):
    """28.24 M rows of embeddings: a checkpoint is 3.6 GB, 24 tasks keep two each, a trained model takes 1.8 GB."""
    cluster = {"executor": "slurm", "slurm": {"array_parallelism": 24}}
    changes = {"search": {"days": "1-22"}, "train": {"days": "1-23", "test_day": 24}, "cluster": cluster}
    config = config_of(tmp_path, {"schema": "criteo", "days": 24}, **changes)
    rows = estimate.Rows(dict.fromkeys(range(1, 25), 195_800_000), "")
    parts = estimate.disk_bytes(config, rows, 28_240_000)
    assert parts["shards"] == 24 * 195_800_000 * 49
    assert parts["checkpoints"] == pytest.approx(22 * 2 * 3.6e9, rel=0.01)
    assert parts["models"] == pytest.approx(2 * 1.8e9, rel=0.01)
    assert estimate.table_rows(config, rows)[0] == 26 * 5_000_000


def test_times_come_from_finished_tasks_or_else_from_the_paper(tmp_path):
    rows = estimate.Rows({1: 27_000 * 7200, 2: 27_000 * 7200, 3: 1}, "")
    assert estimate.task_seconds(config_of(tmp_path, {}), rows) == {}, "a CPU's rate nobody knows"
    cluster = {"executor": "slurm", "slurm": {"gres": "gpu:a5000:1"}}
    config = config_of(tmp_path, {}, cluster=cluster)
    paper = "the paper's search on one A5000"
    assert estimate.task_seconds(config, rows) == {"search": (7200, paper), "train": (14_400, paper)}
    run = RunFolder.prepare(config)
    for task, rate in (("day_01", 54_000.0), ("day_02", 54_000.0)):
        run.task_folder("search", task).mkdir(parents=True)
        write_yaml(run.task_folder("search", task) / "result.yaml", {"rows_per_second": rate})
    assert estimate.task_seconds(config, rows)["search"] == (3600, "2 finished tasks of this run")


def test_a_strategy_that_searches_otherwise_takes_otherwise(tmp_path):
    rows = estimate.Rows({1: 27_000 * 60, 2: 27_000 * 60, 3: 1}, "")
    cluster = {"executor": "slurm", "slurm": {"gres": "gpu:a5000:1"}}
    whole, none = (config_of(tmp_path, {}, cluster=cluster, strategy=name) for name in ("one_shot", "supernet"))
    assert estimate.task_seconds(whole, rows)["search"][0] == 120, "both days in one task"
    assert estimate.task_seconds(none, rows).keys() == {"train"}
    models = len(none.train.baselines) + 1
    assert estimate.disk_bytes(none, rows, 1000)["checkpoints"] == models * 2 * 2 * 4 * 1000 * none.model.dim_s
