"""How fast a day's shards become shuffled batches: `python -m benchmarks.feed`.

The same rows are read by this package's feed, by torch's DataLoader over the same shard, and by pyarrow from Parquet,
all on two cores, into batches of 8,192 rows of tensors of the same types. The peers do less: neither normalises the
dense values. pyarrow reads in file order, so it is held against the feed in file order; beside that, with the rows of
each row group shuffled by numpy, against the shuffled feed.
"""
# ruff: noqa: T201

import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import h5py
import hdf5plugin  # noqa: F401 (registers the compression)
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from benchmarks.claim import claim
from benchmarks.real_rows import codes_of, real_rows
from distdnas_hpc.data.feed import Batch, Feed
from distdnas_hpc.data.manifest import Day, IdsInfo, Manifest
from distdnas_hpc.data.rows import Columns
from distdnas_hpc.data.shards import ShardInfo, create_shard

Row = tuple[np.float32, NDArray[np.float32], NDArray[np.int64]]

ROWS = 1 << 21
"""Rows of the file that all read. The feed's day is this file four times, so that what it pays once a day (its buffers)
weighs less, as in a real day, which is a hundred times as long; the peers pay nothing once a day."""

BATCH = 8192
ROUNDS = 5
LOADER_SECONDS = 8
"""A DataLoader is measured for so long in a round: a whole day would take minutes."""


class RowsOfHdf5(Dataset[Row]):
    """The usual map-style dataset: a row is read when it is asked for; a worker opens the file for itself."""

    def __init__(self, path: Path, rows: int, cache_bytes: int) -> None:
        self.path, self.rows, self.cache_bytes = path, rows, cache_bytes
        self.columns: list[h5py.Dataset] = []

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, i: int) -> Row:
        if not self.columns:
            file = h5py.File(self.path, locking=False, rdcc_nbytes=self.cache_bytes, rdcc_nslots=100_003)
            self.columns = [file[name] for name in Columns._fields]
        label, dense, sparse = (column[..., i] for column in self.columns)
        return np.float32(label), dense.astype(np.float32), sparse.astype(np.int64)


class RowsInMemory(Dataset[Row]):
    """The same rows, read into memory before the clock starts."""

    def __init__(self, rows: Columns) -> None:
        self.columns = rows.label, np.ascontiguousarray(rows.dense.T), np.ascontiguousarray(rows.sparse.T)

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, i: int) -> Row:
        label, dense, sparse = (column[i] for column in self.columns)
        return np.float32(label), dense.astype(np.float32), sparse.astype(np.int64)


def rate(batches: Iterable[Batch | list[torch.Tensor]], seconds: float = float("inf"), *, skip: int = 0) -> float:
    """Return million rows a second over all batches or so many seconds; `skip` batches come before the clock starts."""
    rows, start = 0, time.perf_counter()
    for number, batch in enumerate(batches):
        if number < skip:
            start = time.perf_counter()
            continue
        rows += len(batch[0])
        if time.perf_counter() - start > seconds:
            break
    return rows / (time.perf_counter() - start) / 1e6


def loader(dataset: Dataset[Row]) -> DataLoader[Row]:
    """Set up the DataLoader as usual: shuffled, two workers."""
    return DataLoader(dataset, BATCH, shuffle=True, num_workers=2)


def parquet_batches(path: Path) -> Iterable[Batch]:
    """Read batches as pyarrow gives them."""
    for part in pq.ParquetFile(path).iter_batches(BATCH):
        yield to_tensors([column.to_numpy() for column in part.columns])


def parquet_groups(path: Path, *, shuffle: bool = False) -> Iterable[Batch]:
    """Read whole row groups of a million rows, which pyarrow does with a thread a column, and cut them into batches."""
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        columns = [column.to_numpy() for column in file.read_row_group(group).columns]
        order = np.random.default_rng(group).permutation(len(columns[0]))
        for start in range(0, len(columns[0]), BATCH):
            rows = order[start : start + BATCH] if shuffle else slice(start, start + BATCH)
            yield to_tensors([column[rows] for column in columns])


def to_tensors(columns: list[np.ndarray]) -> Batch:
    """Put label, 13 dense and 26 sparse columns of some rows into a batch, not normalised."""
    sides = columns[1:14], columns[14:]
    dense, sparse = (np.empty((len(columns[0]), len(side)), t) for side, t in zip(sides, ("f4", "i8"), strict=True))
    for side, array in zip(sides, (dense, sparse), strict=True):
        for j, column in enumerate(side):
            array[:, j] = column
    return Batch(*map(torch.from_numpy, (columns[0].astype(np.float32), dense, sparse)))


def peak_megabytes(manifest: Manifest) -> float:
    """Feed a day once and return the most memory that this process ever had."""
    for _ in Feed(manifest, 1, BATCH, shuffle_seed=1):
        pass
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def in_a_new_process(function: Callable[[Manifest], float], manifest: Manifest) -> float:
    """Call a function where no memory was used before."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, (manifest,))


def write_day(folder: Path) -> tuple[Columns, Manifest]:
    """Make a day; write it as a shard and as Parquet, both with default compression."""
    rows = real_rows(ROWS)
    rows = rows._replace(sparse=codes_of(rows.sparse))  # which may be the ids as well
    with create_shard(folder / "day.h5", 13, 26) as shard:
        shard.append(rows)
        shard.finish((), (), ())
    codes = rows.sparse.max(axis=1)
    np.save(folder / "ids.npy", np.concatenate([np.arange(count + 1, dtype=np.int32) for count in codes]))
    names = [f"{letter}{j + 1}" for letter, count in (("I", 13), ("C", 26)) for j in range(count)]
    columns = [rows.label, *rows.dense, *rows.sparse]
    pq.write_table(pa.table(list(map(pa.array, columns)), ["label", *names]), folder / "day.parquet")
    ids = IdsInfo("ids.npy", tuple(codes.tolist()), "")
    manifest = Manifest(
        folder=folder,
        days={1: Day(ROWS, int(rows.label.sum()), (ShardInfo("day.h5", ROWS, ""),), ids)},
        table_sizes=tuple((codes + 1).tolist()),
        dense_mean=(2.0,) * 13,
        dense_std=(1.5,) * 13,
        dense_columns=tuple(names[:13]),
        sparse_columns=tuple(names[13:]),
    )
    return rows, manifest


def repeat(manifest: Manifest, times: int) -> Manifest:
    """Make a longer day: the same shard several times."""
    day = manifest.days[1]
    longer = Day(times * day.rows, times * day.clicks, times * day.shards, day.ids)
    return Manifest(**vars(manifest) | {"days": {1: longer}})


def main() -> None:
    """Measure and print."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    torch.set_num_threads(2)
    pa.set_cpu_count(2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, manifest = write_day(folder)
        for path in sorted(folder.iterdir()):
            print(f"{path.name}: {path.stat().st_size / ROWS:.1f} bytes a row, {ROWS:,} rows")
        whole_day = 2 * rows.sparse.nbytes
        long_day = repeat(manifest, 4)
        readers: dict[str, Callable[[], float]] = {
            "feed, shuffled": lambda: rate(Feed(long_day, 1, BATCH, shuffle_seed=1)),
            "feed, file order": lambda: rate(Feed(long_day, 1, BATCH)),
            "pyarrow, batches": lambda: rate(parquet_batches(folder / "day.parquet")),
            "pyarrow, row groups": lambda: rate(parquet_groups(folder / "day.parquet")),
            "pyarrow, row groups, shuffled": lambda: rate(parquet_groups(folder / "day.parquet", shuffle=True)),
            "DataLoader, HDF5 cache of a whole day": lambda: rate(
                loader(RowsOfHdf5(folder / "day.h5", ROWS, whole_day)), LOADER_SECONDS, skip=4
            ),
            "DataLoader, all rows in memory": lambda: rate(loader(RowsInMemory(rows)), LOADER_SECONDS, skip=4),
        }
        next(iter(Feed(manifest, 1, BATCH)))  # compiles the kernel, or loads it
        measured: dict[str, list[float]] = {reader: [] for reader in readers}
        for _ in range(ROUNDS):
            for reader, run in readers.items():
                measured[reader].append(run())
        # With its default cache of a megabyte, HDF5 unpacks 16,384 rows for each one: once is enough.
        usual = "DataLoader, default HDF5 cache"
        measured[usual] = [rate(loader(RowsOfHdf5(folder / "day.h5", ROWS, 1 << 20)), LOADER_SECONDS)]
        rates = {reader: median(values) for reader, values in measured.items()}
        for reader, values in measured.items():
            print(f"{reader:40} {rates[reader]:8.4f} M rows/s ({min(values):.4f} to {max(values):.4f})")
        peaks = [in_a_new_process(peak_megabytes, day) for day in (manifest, long_day)]
        print(f"peak memory: {peaks[0]:.0f} MB for a day of {ROWS:,} rows, {peaks[1]:.0f} MB for one of {4 * ROWS:,}")
    shuffled, in_order = rates["feed, shuffled"], rates["feed, file order"]
    claim("shards to shuffled batches of tensors on two cores", shuffled, "M rows/s", 3, shuffled >= 3)
    best = max(value for reader, value in rates.items() if "DataLoader" in reader)
    claim("shuffled feed against the best DataLoader with two workers", shuffled / best, "x", 5, shuffled >= 5 * best)
    best = max(rates["pyarrow, batches"], rates["pyarrow, row groups"])
    claim("feed against pyarrow's Parquet reader, both in file order", in_order / best, "x", 1, in_order > best)
    best = rates["pyarrow, row groups, shuffled"]
    claim("feed against pyarrow's Parquet reader, both shuffled", shuffled / best, "x", 1, shuffled > best)
    grown = peaks[1] - peaks[0]
    claim("memory that a day of four times the length adds", grown, "MB", 16, grown <= 16)


if __name__ == "__main__":
    main()
