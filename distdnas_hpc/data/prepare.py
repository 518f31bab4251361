"""Raw days to HDF5 day shards, in steps that share only files and can run on different machines.

    parse_day (each day) → merge_days → encode_day (each day) → write_manifest

    PREPARED/day_01/shard_0000.h5 …                     the rows, from parse_day
    PARSED/day.yaml                                     one folder a day, from parse_day; where there are such, also
    PARSED/counts.h5, rejected.tsv                      counts of tokens, rejected rows
    PREPARED/ids.h5, columns.yaml                       from merge_days
    PREPARED/day_01/ids.npy                             from encode_day
    PREPARED/manifest.yaml                              from write_manifest, last

The text is read once and the rows are written once: with codes for tokens, which only mean something in their day (see
`dictionary`). Only the lists of a day's tokens are read again, merged, and translated into ids. Every file is written
whole or not at all and depends on nothing but the input, so a step that was killed is simply run again; parse_day keeps
the shards that it had finished.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from distdnas_hpc.config import Data
from distdnas_hpc.data.counting import read_runs, token_lists, write_runs
from distdnas_hpc.data.dictionary import Tokens
from distdnas_hpc.data.hdf5 import create_hdf5, open_hdf5
from distdnas_hpc.data.ids import ExactIds, HashedIds, IdMap, choose_ids, unite_ids
from distdnas_hpc.data.manifest import MANIFEST, identity
from distdnas_hpc.data.rejected import RejectedRows
from distdnas_hpc.data.resume import ShardRecord
from distdnas_hpc.data.shards import Shard, file_sha256, open_shard
from distdnas_hpc.data.source import read_all_days, read_day
from distdnas_hpc.data.statistics import DenseStatistics, merge_all
from distdnas_hpc.data.translation import write_translation
from distdnas_hpc.data.writing import write_day
from distdnas_hpc.progress import Progress
from distdnas_hpc.storage import read_yaml, remove_leftovers, write_yaml

log = logging.getLogger(__name__)

COUNTS = "counts.h5"

SMALL_FILE_BYTES = 64 << 20
"""A raw file below this size is checked from the first row to the last before anything is written."""


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


def parse_day(
    data: Data, day: int, parsed: Path, prepared: Path, progress: Progress, *, training: bool = True
) -> dict[str, Any]:
    """Parse the text of one day into shards below `prepared`, and gather in `parsed` what it adds to all days.

    Memory does not grow with the day's rows: see docs/data.md.

    Parameters
    ----------
    training : the day has a say in which tokens get ids, and in the dense statistics.

    Returns
    -------
    dict with rows, clicks, bytes (of the day's text, unpacked) and rejected (rows left out, see `data.on_bad_row`).

    Raises
    ------
    UserError : as `read_day`.
    """
    folder = prepared / f"day_{day:02d}"
    for created in (parsed, folder):
        created.mkdir(parents=True, exist_ok=True)
        remove_leftovers(created)
    may_hash = training and not data.counted
    record, rejected = ShardRecord(folder, _source(data, day, may_hash)), RejectedRows()
    told, statistics = write_day(data, day, record, rejected, progress, may_hash=may_hash)
    rejected.write(parsed / "rejected.tsv")
    shards = [asdict(info) for info in record.finished]
    if training and data.counted:
        with _open_shards(prepared, shards) as opened, create_hdf5(parsed / COUNTS) as draft:
            write_runs(draft, opened, data.schema_.sparse_names)
    write_yaml(parsed / "day.yaml", {"day": day, **told, "shards": shards, "dense": statistics.to_dict()})
    record.close()
    progress.update(1.0, rows=told["rows"])
    log.info("day %d parsed: %s", day, ", ".join(f"{key} {value}" for key, value in told.items()))
    return told


def merge_days(
    data: Data, training_days: Sequence[int], parsed: Mapping[int, Path], prepared: Path
) -> dict[str, list[Any]]:
    """Decide each token's id and the dense statistics from the training days; write both into `prepared`.

    Parameters
    ----------
    parsed : folders that `parse_day` filled, by day; those of the training days at least.
    prepared : where it wrote the shards.

    Returns
    -------
    dict with table_sizes, (sparse,) rows of each embedding table, and overflowing, the names of the hashed columns.
    """
    prepared.mkdir(parents=True, exist_ok=True)
    remove_leftovers(prepared)
    names = data.schema_.sparse_names
    days = [read_yaml(parsed[day] / "day.yaml") for day in training_days]
    if data.counted:
        with ExitStack() as stack:
            files = [stack.enter_context(open_hdf5(parsed[day] / COUNTS)) for day in training_days]
            chosen = [choose_ids([run for file in files for run in read_runs(file, name)], data) for name in names]
    else:
        chosen = [(ids, 0) for ids in unite_ids(_token_readers(prepared, days, names), data)]
    sparse = {}
    with create_hdf5(prepared / "ids.h5") as draft:
        for name, (ids, dropped) in zip(names, chosen, strict=True):
            if isinstance(ids, ExactIds):
                draft.add(name, ids.tokens)
            sparse[name] = {"rows": ids.rows, "hashed": isinstance(ids, HashedIds), "dropped": dropped}
    statistics = merge_all(DenseStatistics.from_dict(day["dense"]) for day in days)
    dense = statistics.describe(data.schema_.dense_names)
    write_yaml(prepared / "columns.yaml", {"training_days": list(training_days), "dense": dense, "sparse": sparse})
    sizes = [column["rows"] for column in sparse.values()]
    overflowing = [name for name, column in sparse.items() if column["hashed"]]
    log.info("%d ids in %d tables; hashed: %s", sum(sizes), len(sizes), ", ".join(overflowing) or "none")
    return {"table_sizes": sizes, "overflowing": overflowing}


def encode_day(data: Data, day: int, parsed: Path, prepared: Path, progress: Progress) -> dict[str, Any]:
    """Translate one day's codes into ids: write `ids.npy` beside its shards.

    Parameters
    ----------
    parsed : the day's folder from `parse_day`.
    prepared : where `parse_day` wrote the shards and `merge_days` the ids.

    Returns
    -------
    dict with rows, clicks, shards, a list of {name, rows, sha256, bytes}, and ids, {name, codes, sha256}.
    """
    names = data.schema_.sparse_names
    content = read_yaml(parsed / "day.yaml")
    path = prepared / f"day_{day:02d}" / "ids.npy"
    remove_leftovers(path.parent)
    with _open_shards(prepared, content["shards"]) as shards:
        columns = zip(_read_maps(data, prepared), (token_lists(shards, name) for name in names), strict=True)
        codes = [sum(shard.token_count(name) for shard in shards) for name in names]
        write_translation(path, columns, codes)
    progress.update(1.0, rows=content["rows"])
    log.info("day %d translated: %d tokens", day, sum(codes))
    ids = {"name": f"{path.parent.name}/{path.name}", "codes": codes, "sha256": file_sha256(path)}
    shards_told = [{**shard, "bytes": (prepared / shard["name"]).stat().st_size} for shard in content["shards"]]
    return {"rows": content["rows"], "clicks": content["clicks"], "shards": shards_told, "ids": ids}


def write_manifest(data: Data, encoded: Mapping[int, Mapping[str, Any]], prepared: Path) -> dict[str, int]:
    """Write the manifest, which says that the data in `prepared` is complete.

    Parameters
    ----------
    encoded : what `encode_day` returned, by day.

    Returns
    -------
    dict with days (how many), rows and clicks.
    """
    days = {day: {key: encoded[day][key] for key in ("rows", "clicks", "shards", "ids")} for day in sorted(encoded)}
    columns = read_yaml(prepared / "columns.yaml")
    write_yaml(prepared / MANIFEST, {"data": identity(data), "ids": "ids.h5", **columns, "days": days})
    rows, clicks = (sum(day[key] for day in days.values()) for key in ("rows", "clicks"))
    return {"days": len(days), "rows": rows, "clicks": clicks}


def discard_counts(parsed: Path) -> None:
    """Remove a day's counts, which nobody reads again once the manifest is written."""
    (parsed / COUNTS).unlink(missing_ok=True)


def _source(data: Data, day: int, may_hash: bool) -> dict[str, Any]:
    """Return what a day's shards are made from, as plain values."""
    raw = data.raw_file(day)
    file = [raw.stat().st_size, raw.stat().st_mtime_ns] if raw.exists() else []  # without it, read_day tells
    decisive = {"schema_", "rows_per_day", "day", "shard_rows", "on_bad_row"}
    config = data.model_dump(mode="json", by_alias=True, include=decisive)
    return {"raw": [str(raw), *file], "of_day": day, "hashed_rows": data.max_rows if may_hash else None, **config}


@contextmanager
def _open_shards(prepared: Path, shards: Sequence[Mapping[str, Any]]) -> Iterator[list[Shard]]:
    with ExitStack() as stack:
        yield [stack.enter_context(open_shard(prepared / info["name"])) for info in shards]


def _token_readers(
    prepared: Path, days: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> Iterator[list[Callable[[], Tokens | None]]]:
    """Yield, a day at a time, what reads the tokens of each column: None where they were too many to be listed."""

    def read(shards: Sequence[Shard], name: str) -> Tokens | None:
        return None if shards[-1].hashed(name) else np.concatenate([shard.tokens(name) for shard in shards])

    for day in days:
        with _open_shards(prepared, day["shards"]) as opened:
            yield [partial(read, opened, name) for name in names]


def _read_maps(data: Data, prepared: Path) -> list[IdMap]:
    with open_hdf5(prepared / "ids.h5") as file:
        names = data.schema_.sparse_names
        return [ExactIds(file[name][:]) if name in file else HashedIds(data.max_rows) for name in names]
