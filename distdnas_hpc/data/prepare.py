"""Raw days to HDF5 day shards, in steps that share only files and can run on different machines.

    parse_day (each day) → merge_days → encode_day (each day) → write_manifest

    PARSED/tokens.h5, distinct.h5, day.yaml             one folder a day, from parse_day; rejected.tsv where there are
    PREPARED/ids.h5, columns.yaml                       from merge_days
    PREPARED/day_01/shard_0000.h5 …                     from encode_day
    PREPARED/manifest.yaml                              from write_manifest, last

The text is read once. Every file is written whole or not at all and depends on nothing but the input, so a step that
was killed is simply run again; encode_day keeps the shards that it had finished.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distdnas_hpc.config import Data
from distdnas_hpc.data.ahead import map_ahead
from distdnas_hpc.data.counting import DistinctTokens, Run
from distdnas_hpc.data.ids import ExactIds, HashedIds, IdMap, choose_ids
from distdnas_hpc.data.manifest import MANIFEST, identity
from distdnas_hpc.data.rejected import RejectedRows
from distdnas_hpc.data.resume import EncodingRecord, Finished
from distdnas_hpc.data.rows import Rows
from distdnas_hpc.data.shards import (
    CHUNK_ROWS,
    Shard,
    ShardInfo,
    create_hdf5,
    create_shard,
    file_sha256,
    open_hdf5,
    open_shard,
)
from distdnas_hpc.data.source import read_all_days, read_day
from distdnas_hpc.data.statistics import DenseStatistics, merge_all
from distdnas_hpc.data.tsv import Block
from distdnas_hpc.progress import Progress
from distdnas_hpc.storage import read_yaml, remove_leftovers, write_yaml

log = logging.getLogger(__name__)

SMALL_FILE_BYTES = 64 << 20
"""A raw file below this size is checked from the first row to the last before anything is written."""

READ_ROWS = 4 * CHUNK_ROWS
"""Rows encoded at a time: some 20 MB of Criteo tokens."""


def check_raw(data: Data) -> None:
    """Look at the raw files before work begins: each is there, can be read, and starts with faultless rows.

    A small file that holds many days is read to the end of the last one, so that its faults are told at once.

    Raises
    ------
    UserError : as `read_day`.
    """
    if "{day}" in data.raw:
        for day in range(1, data.days + 1):
            next(read_day(data, day))
        return
    blocks = read_all_days(data)
    next(blocks)
    if data.raw_file(1).stat().st_size < SMALL_FILE_BYTES:
        for _ in blocks:
            pass


def parse_day(data: Data, day: int, folder: Path, progress: Progress) -> dict[str, int]:
    """Parse the text of one day into columns of tokens, distinct tokens and dense statistics, below `folder`.

    Memory does not grow with the day's rows: see docs/data.md.

    Returns
    -------
    dict with rows, clicks, bytes (of the day's text, unpacked) and rejected (rows left out, see `data.on_bad_row`).

    Raises
    ------
    UserError : as `read_day`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    schema = data.schema_
    rejected = RejectedRows()
    clicks = text_bytes = 0
    with (
        create_hdf5(folder / "distinct.h5") as file,
        create_shard(folder / "tokens.h5", schema.dense, schema.sparse, "i8") as shard,
    ):
        totals = _DayTotals(data, file)
        for block in map_ahead(totals.add, read_day(data, day)):
            shard.append(block.rows)
            rejected.add(data.raw_file(day), block.rejected)
            clicks += int(block.rows.label.sum())
            text_bytes += block.text_bytes
            progress.update(min(block.fraction, 0.999), rows=shard.rows)
        totals.finish()
    rejected.write(folder / "rejected.tsv")
    counts = {"rows": shard.rows, "clicks": clicks, "bytes": text_bytes, "rejected": rejected.count}
    write_yaml(folder / "day.yaml", {"day": day, **counts, "dense": totals.statistics.to_dict()})
    progress.update(1.0, rows=shard.rows)
    log.info(
        "day %d parsed: %d rows (%d rejected), %d clicks, %d bytes of text",
        day,
        shard.rows,
        rejected.count,
        clicks,
        text_bytes,
    )
    return counts


def merge_days(
    data: Data, training_days: Sequence[int], parsed: Mapping[int, Path], prepared: Path
) -> dict[str, list[Any]]:
    """Decide each token's id and the dense statistics from the training days; write both into `prepared`.

    Parameters
    ----------
    parsed : folders that `parse_day` filled, by day; those of the training days at least.

    Returns
    -------
    dict with table_sizes, (sparse,) rows of each embedding table, and overflowing, the names of the hashed columns.
    """
    prepared.mkdir(parents=True, exist_ok=True)
    remove_leftovers(prepared)
    sparse = {}
    with ExitStack() as stack, create_hdf5(prepared / "ids.h5") as ids_file:
        days = [stack.enter_context(open_hdf5(parsed[day] / "distinct.h5")) for day in training_days]
        for name in data.schema_.sparse_names:
            ids, dropped = _merge_column(name, days, data)
            if isinstance(ids, ExactIds):
                ids_file.create_dataset(name, data=ids.tokens)
            sparse[name] = {"rows": ids.rows, "hashed": isinstance(ids, HashedIds), "dropped": dropped}
    statistics = merge_all(
        DenseStatistics.from_dict(read_yaml(parsed[day] / "day.yaml")["dense"]) for day in training_days
    )
    dense = statistics.describe(data.schema_.dense_names)
    write_yaml(prepared / "columns.yaml", {"training_days": list(training_days), "dense": dense, "sparse": sparse})
    sizes = [column["rows"] for column in sparse.values()]
    overflowing = [name for name, column in sparse.items() if column["hashed"]]
    log.info("%d ids in %d tables; hashed: %s", sum(sizes), len(sizes), ", ".join(overflowing) or "none")
    return {"table_sizes": sizes, "overflowing": overflowing}


def encode_day(data: Data, day: int, parsed: Path, prepared: Path, progress: Progress) -> dict[str, Any]:
    """Write one day's shards into `prepared`, with ids for tokens; shards that an earlier attempt finished are kept.

    Parameters
    ----------
    parsed : the day's folder from `parse_day`.
    prepared : the folder that `merge_days` wrote the ids into.

    Returns
    -------
    dict with rows, clicks and shards, a list of {name, rows, sha256}.
    """
    schema = data.schema_
    maps = _read_maps(data, prepared)
    folder = prepared / f"day_{day:02d}"
    folder.mkdir(parents=True, exist_ok=True)

    def encode(rows: Rows) -> Rows:
        ids = np.empty((schema.sparse, len(rows.label)), np.int32)
        for column, tokens, out in zip(maps, np.ascontiguousarray(rows.sparse.T), ids, strict=True):
            column.encode(tokens, out)
        return rows._replace(sparse=np.ascontiguousarray(ids.T))

    with open_shard(parsed / "tokens.h5") as tokens:
        record = EncodingRecord(folder, _source(data, parsed, prepared))
        record.resume()
        for number, start in enumerate(range(0, tokens.rows, data.shard_rows)):
            if number < len(record.finished):
                continue
            path = folder / f"shard_{number:04d}.h5"
            stop = min(start + data.shard_rows, tokens.rows)
            clicks = 0
            with create_shard(path, schema.dense, schema.sparse) as shard:
                for rows in map_ahead(encode, _read_stretches(tokens, start, stop)):
                    shard.append(rows)
                    clicks += int(rows.label.sum())
                    progress.update((start + shard.rows) / tokens.rows, rows=start + shard.rows)
            record.add(Finished(ShardInfo(f"{folder.name}/{path.name}", shard.rows, file_sha256(path)), clicks))
        record.close()
        log.info("day %d encoded: %d rows in %d shards", day, tokens.rows, len(record.finished))
        return {
            "rows": tokens.rows,
            "clicks": sum(done.clicks for done in record.finished),
            "shards": [asdict(done.shard) for done in record.finished],
        }


def write_manifest(data: Data, encoded: Mapping[int, Mapping[str, Any]], prepared: Path) -> dict[str, int]:
    """Write the manifest, which says that the data in `prepared` is complete.

    Parameters
    ----------
    encoded : what `encode_day` returned, by day.

    Returns
    -------
    dict with days (how many), rows and clicks.
    """
    days = {day: {key: encoded[day][key] for key in ("rows", "clicks", "shards")} for day in sorted(encoded)}
    columns = read_yaml(prepared / "columns.yaml")
    write_yaml(prepared / MANIFEST, {"data": identity(data), "ids": "ids.h5", **columns, "days": days})
    rows, clicks = (sum(day[key] for day in days.values()) for key in ("rows", "clicks"))
    return {"days": len(days), "rows": rows, "clicks": clicks}


def discard_tokens(parsed: Path) -> None:
    """Remove a day's tokens, some 130 bytes a row, which nobody reads again once the manifest is written."""
    (parsed / "tokens.h5").unlink(missing_ok=True)


class _DayTotals:
    """What a day adds to all days: its distinct tokens and dense statistics."""

    def __init__(self, data: Data, file: h5py.File) -> None:
        schema = data.schema_
        # Who hashes a column above the cap need not know its tokens, nor how often each was seen.
        counted = data.overflow == "frequent" or data.min_count > 1
        limit = None if counted else data.max_rows - 1
        runs = [_RunWriter(file, name) for name in schema.sparse_names]
        self._columns = [DistinctTokens(write, counted=counted, limit=limit) for write in runs]
        self.statistics = DenseStatistics.of(np.empty((0, schema.dense), np.int32))

    def add(self, block: Block) -> Block:
        """Take in a block, and return it."""
        self.statistics = self.statistics.merge(DenseStatistics.of(block.rows.dense))
        for column, tokens in zip(self._columns, np.ascontiguousarray(block.rows.sparse.T), strict=True):
            column.add(tokens)
        return block

    def finish(self) -> None:
        """Write what is left in memory."""
        for column in self._columns:
            column.finish()


class _RunWriter:
    """Writes the runs of one column as NAME/0, NAME/1, …; a column that overflowed has none."""

    def __init__(self, file: h5py.File, name: str) -> None:
        self._runs = file.create_group(name)

    def __call__(self, run: Run) -> None:
        group = self._runs.create_group(str(len(self._runs)))
        for field, values in run._asdict().items():
            group.create_dataset(field, data=values)


def _merge_column(name: str, days: Sequence[h5py.File], data: Data) -> tuple[IdMap, int]:
    """Choose the ids of one column from the runs of some days."""
    if any(len(day[name]) == 0 for day in days):  # one day alone has too many
        return HashedIds(data.max_rows), 0
    return choose_ids([Run(run["tokens"], run["counts"]) for day in days for run in day[name].values()], data)


def _read_maps(data: Data, prepared: Path) -> list[IdMap]:
    with open_hdf5(prepared / "ids.h5") as file:
        names = data.schema_.sparse_names
        return [ExactIds(file[name][:]) if name in file else HashedIds(data.max_rows) for name in names]


def _source(data: Data, parsed: Path, prepared: Path) -> dict[str, Any]:
    """Return what a day's shards are made from, as plain values."""
    tokens = (parsed / "tokens.h5").stat()
    return {
        "tokens": [tokens.st_size, tokens.st_mtime_ns],
        "ids": file_sha256(prepared / "ids.h5"),
        "max_rows": data.max_rows,
        "shard_rows": data.shard_rows,
    }


def _read_stretches(shard: Shard, start: int, stop: int) -> Iterator[Rows]:
    for first in range(start, stop, READ_ROWS):
        yield shard.read(first, min(first + READ_ROWS, stop))
