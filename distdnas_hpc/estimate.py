"""What an experiment will take in rows, time, disk and memory, from what is known before it runs; imports no torch."""

import statistics
import zlib
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from distdnas_hpc import pipeline
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.config import Config
from distdnas_hpc.data.manifest import MANIFEST, Manifest

SAMPLE = 1_000_000
"""First bytes of a raw file, from which the length of a row is taken."""
SHARD_BYTES = 49 / 39
"""Bytes of a value in a shard: 49 a row of Criteo's 39 columns (`python -m benchmarks.prepare`)."""
PAPER_RATE = 27_000.0
"""Rows a second of a search on one A5000: 195.8 million in two hours (paper §V-B)."""


class Rows(NamedTuple):
    """Rows of each day, by number, and where that is known from."""

    of_day: dict[int, int]
    source: str


class Rate(NamedTuple):
    """Rows a second of a task, and where that is known from."""

    rows_per_second: float
    source: str


def count_rows(config: Config) -> Rows:
    """Count each day's rows: by the manifest where the data is prepared, else from the raw files' sizes."""
    data, prepared = config.data, config.prepared_folder
    if (prepared / MANIFEST).is_file():
        return Rows({day: told.rows for day, told in Manifest.load(prepared, data).days.items()}, "the prepared data")
    days = range(1, data.days + 1)
    if data.rows_per_day is not None:
        return Rows(dict.fromkeys(days, data.rows_per_day), "data.rows_per_day")
    if data.schema_.format == "parquet":
        files = {data.raw_file(day): pq.ParquetFile(data.raw_file(day)).metadata.num_rows for day in days}
        whole = "the raw files"
    else:
        bytes_of_row = _bytes_of_row(data.raw_file(1))
        files = {data.raw_file(day): round(data.raw_file(day).stat().st_size / bytes_of_row) for day in days}
        whole = "the raw files' sizes and their first rows"
    share = data.days if "{day}" not in data.raw else 1
    return Rows({day: files[data.raw_file(day)] // share for day in days}, whole)


def table_rows(config: Config, rows: Rows) -> tuple[int, str]:
    """Return the rows of all embedding tables together, or the most that they can have."""
    prepared = config.prepared_folder
    if (prepared / MANIFEST).is_file():
        return sum(Manifest.load(prepared, config.data).table_sizes), "the prepared data"
    most = min(config.data.max_rows, sum(rows.of_day[day] for day in config.train.days) + 1)
    return config.data.schema_.sparse * most, "data.max_rows, which few columns reach"


def disk_bytes(config: Config, rows: Rows, tables: int) -> dict[str, int]:
    """Return the bytes that an experiment writes, by what they are.

    Shards are a little more than a byte a value. A checkpoint holds embeddings and Adagrad's sums, 4 bytes each, and
    each task at a time keeps two; a trained model holds the embeddings.
    """
    columns = config.data.schema_.dense + config.data.schema_.sparse
    used = {*config.search.days, *config.train.days, config.train.test_day}
    embeddings = 4 * tables * config.model.dim_s
    stages = {stage.name: len(stage.tasks) for stage in pipeline.stages(config)}
    cluster = config.cluster
    limit = cluster.slurm.array_parallelism if cluster.executor == "slurm" else cluster.workers
    at_a_time = min(max(stages.get("search", 0), stages["train"]), limit if cluster.executor != "inline" else 1)
    return {
        "shards": round(sum(rows.of_day[day] for day in used) * columns * SHARD_BYTES),
        "checkpoints": 2 * 2 * embeddings * at_a_time,
        "models": embeddings * stages["train"],
    }


def measured_rate(config: Config, stage: str) -> Rate | None:
    """Return how fast the stage's tasks are: the median of the run's finished ones, else what the paper measured.

    None where neither says anything: without finished tasks and without a GPU.
    """
    if (config.run / "config.yaml").is_file():
        run = RunFolder(config.run)
        tasks = next((each.tasks for each in pipeline.stages(run.config) if each.name == stage), ())
        results = [run.result(stage, task) for task in tasks if run.is_done(stage, task)]
        rates = [told["rows_per_second"] for told in results if told.get("rows_per_second")]
        if rates:
            return Rate(statistics.median(rates), f"{len(rates)} finished tasks of this run")
    if config.cluster.executor == "slurm" and config.cluster.slurm.gres:
        return Rate(PAPER_RATE, "the paper's search on one A5000")
    return None


def task_seconds(config: Config, rows: Rows) -> dict[str, tuple[float, str]]:
    """Return how long the longest task of search and of training takes, and where its rate is known from."""
    searched = [rows.of_day[day] for day in config.search.days]
    longest = {
        "search": sum(searched) if config.strategy == "one_shot" else max(searched),
        "train": sum(rows.of_day[day] for day in config.train.days),
    }
    if config.strategy == "supernet":
        del longest["search"]
    rates = {stage: measured_rate(config, stage) for stage in longest}
    return {stage: (longest[stage] / rate.rows_per_second, rate.source) for stage, rate in rates.items() if rate}


def _bytes_of_row(path: Path) -> float:
    """Return the bytes of the file that a row takes on average, compressed where the file is."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    size, lines = len(head), 0
    if not head.startswith(b"\x1f\x8b"):
        return size / max(head.count(b"\n"), 1)
    while head:  # a gzip file may have several members
        member = zlib.decompressobj(wbits=31)
        lines += member.decompress(head).count(b"\n")
        head = member.unused_data
    return size / max(lines, 1)
