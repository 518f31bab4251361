"""What a day of gzipped text costs in processors' time, step by step: the account that `benchmarks.prepare` prints.

Every step is done by one thread and timed by the processors' clock, so the account holds whatever else the machine
does, but for what others leave of its caches.
"""
# ruff: noqa: T201

import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from distdnas_hpc.config import Data
from distdnas_hpc.data.dictionary import Dictionary, encode_columns
from distdnas_hpc.data.lines import count_newlines, read_lines
from distdnas_hpc.data.parser import parse
from distdnas_hpc.data.shards import create_shard, seal
from distdnas_hpc.data.statistics import DenseStatistics
from distdnas_hpc.data.tsv import BLOCK_BYTES


class Account:
    """Seconds of processors' time, by step."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, clock: Callable[[], float] = time.thread_time) -> Generator[None, None, None]:
        """Book what is done in the block to a step."""
        start = clock()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + clock() - start

    def show(self, rows: int, columns: int) -> None:
        """Print the seconds of each step and of all, and the nanoseconds of a row, and of one of its tokens."""
        for name, seconds in (self._seconds | {"all": sum(self._seconds.values())}).items():
            row = 1e9 * seconds / rows
            print(f"  {name:34} {seconds:8.3f} s   {row:6.1f} ns a row   {row / columns:5.2f} ns a token")


def book_parsing(account: Account, data: Data, folder: Path) -> int:
    """Do to a day of Criteo's text what `parse_day` does, in one thread; return how many rows it has."""
    schema, path = data.schema_, folder / "account.h5"
    dictionaries = [Dictionary(data.max_rows) for _ in schema.sparse_names]
    statistics = DenseStatistics.of(np.empty((schema.dense, 0), np.int32))
    with (
        closing(read_lines(data.raw_file(1), BLOCK_BYTES)) as blocks,
        create_shard(path, schema.dense, schema.sparse) as shard,
    ):
        for block in blocks:
            with account.step("lines counted"):
                count_newlines(block.text)
            with account.step("parsed"):
                rows = parse(block.text, block.lines, schema.dense, schema.sparse, 1).rows
            with account.step("statistics"):
                statistics = statistics.merge(DenseStatistics.of(rows.dense))
            with account.step("tokens to codes"):
                codes = np.empty(rows.sparse.shape, np.int32)
                encode_columns(dictionaries, rows.sparse, codes)
            with account.step("packed and written"):
                shard.append(rows._replace(sparse=codes))
        with account.step("packed and written"):
            tokens = [dictionary.take_new() for dictionary in dictionaries]
            shard.finish(schema.sparse_names, tokens, [dictionary.hashed for dictionary in dictionaries])
    with account.step("checksums"):
        seal(path)
    path.unlink()
    return shard.rows
