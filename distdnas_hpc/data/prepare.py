"""Raw days to HDF5 day shards, in steps that share only files and can run on different machines.

    parse_day (each day) → merge_days → encode_day (each day) → write_manifest

    PARSED/tokens.h5, distinct.h5, day.yaml             one folder a day, from parse_day
    PREPARED/ids.h5, columns.yaml                       from merge_days
    PREPARED/day_01/shard_0000.h5 …                     from encode_day
    PREPARED/manifest.yaml                              from write_manifest, last

The text is read once. Every file is written whole or not at all and depends on nothing but the input, so a step that
was killed is simply run again.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from distdnas_hpc.config import Data
from distdnas_hpc.data.ids import DistinctTokens, ExactIds, HashedIds, IdMap, Tokens
from distdnas_hpc.data.manifest import MANIFEST, identity
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
from distdnas_hpc.data.statistics import DenseStatistics, merge_all
from distdnas_hpc.data.tsv import read_all_days, read_day
from distdnas_hpc.progress import Progress
from distdnas_hpc.storage import read_yaml, write_yaml

log = logging.getLogger(__name__)

SMALL_FILE_BYTES = 64 << 20
"""A raw file below this size is checked from the first row to the last before anything is written."""

READ_ROWS = 4 * CHUNK_ROWS
"""Rows encoded at a time: some 20 MB of Criteo tokens."""


def check_raw(data: Data) -> None:
    """Look at the raw files before work begins: each is there, can be read, and starts with faultless rows.

    A small file that is cut into days is read to the end of the last day, so that its faults are told at once.

    Raises
    ------
    UserError : as `tsv.read_day`.
    """
    if data.rows_per_day is None:
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

    Memory does not grow with the day's rows: it is bounded by `data.max_rows` tokens (4 bytes) a sparse column.

    Returns
    -------
    dict with rows, clicks and bytes (of the day's text, unpacked).

    Raises
    ------
    UserError : as `tsv.read_day`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    schema = data.schema_
    distinct = {name: DistinctTokens(data.max_rows - 1) for name in schema.sparse_names}
    statistics = DenseStatistics.of(np.empty((0, schema.dense), np.int32))
    clicks = text_bytes = 0
    with create_shard(folder / "tokens.h5", schema.dense, schema.sparse, "i8") as shard:
        for rows, size, fraction in read_day(data, day):
            shard.append(rows)
            statistics = statistics.merge(DenseStatistics.of(rows.dense))
            for column, tokens in zip(distinct.values(), rows.sparse.T, strict=True):
                column.add(tokens)
            clicks += int(rows.label.sum())
            text_bytes += size
            progress.update(min(fraction, 0.999), rows=shard.rows)
    # A column with too many tokens is left out: it will be hashed.
    kept = {name: column.tokens for name, column in distinct.items()}
    _write_columns(folder / "distinct.h5", {name: tokens for name, tokens in kept.items() if tokens is not None})
    counts = {"rows": shard.rows, "clicks": clicks, "bytes": text_bytes}
    write_yaml(folder / "day.yaml", {"day": day, **counts, "dense": statistics.to_dict()})
    progress.update(1.0, rows=shard.rows)
    log.info("day %d parsed: %d rows, %d clicks, %d bytes of text", day, shard.rows, clicks, text_bytes)
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
    names = data.schema_.sparse_names
    maps = {name: _merge_tokens(name, [parsed[day] for day in training_days], data.max_rows) for name in names}
    exact = {name: ids.tokens for name, ids in maps.items() if isinstance(ids, ExactIds)}
    overflowing = [name for name in names if name not in exact]
    _write_columns(prepared / "ids.h5", exact)
    statistics = merge_all(
        DenseStatistics.from_dict(read_yaml(parsed[day] / "day.yaml")["dense"]) for day in training_days
    )
    per_column = statistics.to_dict() | {"std": statistics.std.tolist()}
    write_yaml(
        prepared / "columns.yaml",
        {
            "training_days": list(training_days),
            "dense": {
                name: {key: values[j] for key, values in per_column.items()}
                for j, name in enumerate(data.schema_.dense_names)
            },
            "sparse": {name: {"rows": ids.rows, "hashed": name in overflowing} for name, ids in maps.items()},
        },
    )
    sizes = [ids.rows for ids in maps.values()]
    log.info("%d ids in %d tables; hashed: %s", sum(sizes), len(sizes), ", ".join(overflowing) or "none")
    return {"table_sizes": sizes, "overflowing": overflowing}


def encode_day(data: Data, day: int, parsed: Path, prepared: Path, progress: Progress) -> dict[str, Any]:
    """Write one day's shards into `prepared`, with ids for tokens.

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
    clicks = 0
    shards = []
    with open_shard(parsed / "tokens.h5") as tokens:
        for number, start in enumerate(range(0, tokens.rows, data.shard_rows)):
            path = folder / f"shard_{number:04d}.h5"
            stop = min(start + data.shard_rows, tokens.rows)
            with create_shard(path, schema.dense, schema.sparse) as shard:
                for rows in _read_stretches(tokens, start, stop):
                    ids = np.stack([m.encode(column) for m, column in zip(maps, rows.sparse.T, strict=True)], axis=1)
                    shard.append(rows._replace(sparse=ids))
                    clicks += int(rows.label.sum())
                    progress.update((start + shard.rows) / tokens.rows, rows=start + shard.rows)
            shards.append(ShardInfo(f"{folder.name}/{path.name}", shard.rows, file_sha256(path)))
        log.info("day %d encoded: %d rows in %d shards", day, tokens.rows, len(shards))
        return {"rows": tokens.rows, "clicks": clicks, "shards": [asdict(shard) for shard in shards]}


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


def _merge_tokens(name: str, parsed: Sequence[Path], max_rows: int) -> IdMap:
    """Make the id map of one column from its distinct tokens in some days."""
    distinct = DistinctTokens(max_rows - 1)
    for folder in parsed:
        with open_hdf5(folder / "distinct.h5") as file:
            if name not in file:  # one day alone has too many
                return HashedIds(max_rows)
            distinct.add(file[name][:].astype(np.int64))
    return HashedIds(max_rows) if distinct.tokens is None else ExactIds(distinct.tokens)


def _read_maps(data: Data, prepared: Path) -> list[IdMap]:
    with open_hdf5(prepared / "ids.h5") as file:
        names = data.schema_.sparse_names
        return [ExactIds(file[name][:]) if name in file else HashedIds(data.max_rows) for name in names]


def _read_stretches(shard: Shard, start: int, stop: int) -> Iterator[Rows]:
    for first in range(start, stop, READ_ROWS):
        yield shard.read(first, min(first + READ_ROWS, stop))


def _write_columns(path: Path, columns: Mapping[str, Tokens]) -> None:
    """Write sorted tokens, a dataset a column."""
    with create_hdf5(path) as file:
        for name, tokens in columns.items():
            file.create_dataset(name, data=tokens)
