"""Small click logs for the tests, and the slow way to read them."""

import gzip
import math
from pathlib import Path

import numpy as np

from distdnas_hpc.config import Data
from distdnas_hpc.data.manifest import Day
from distdnas_hpc.data.rows import MISSING, NO_TOKEN, Columns
from distdnas_hpc.data.shards import open_shard
from distdnas_hpc.data.translation import Translation

REAL = Path(__file__).parents[2] / "configs/data/criteo_kaggle_7200.tsv.gz"
SMALL = {"dense": 2, "sparse": 3}


def real_data(**changes) -> Data:
    """The quickstart's data: 7,200 real rows in six days."""
    return Data.model_validate(
        {"schema": "criteo", "raw": str(REAL), "rows_per_day": 1200, "days": 6} | changes,
    )


def small_data(folder: Path, **changes) -> Data:
    """A file a day, folder/day_0 and so on, of the columns label, I1, I2, C1, C2, C3."""
    return Data.model_validate({"schema": SMALL, "raw": f"{folder}/day_{{day}}", "days": 1} | changes)


def small_line(i: int) -> str:
    """Row i of a small log; every seventh value of I2 and every fifth of C3 is missing."""
    i2 = "" if i % 7 == 0 else str(i * i - 50)
    c3 = "" if i % 5 == 0 else f"{i * 2654435761 % 2**32:08x}"
    return f"{int(i % 4 == 1)}\t{i}\t{i2}\t{i % 3:08x}\t{i % 50:08X}\t{c3}\n"


def small_text(rows: int, *, first: int = 0) -> str:
    return "".join(small_line(i) for i in range(first, first + rows))


def slow_rows(text: str, dense: int) -> Columns:
    """Read a log value by value."""
    table = [line.split("\t") for line in text.splitlines()]
    return Columns(
        np.array([int(row[0]) for row in table], np.uint8),
        np.array([[int(v) if v else MISSING for v in row[1 : 1 + dense]] for row in table], np.int32).T,
        np.array([[int(v, 16) if v else NO_TOKEN for v in row[1 + dense :]] for row in table], np.int64).T,
    )


def slow_real_day(day: int) -> Columns:
    with gzip.open(REAL, "rt") as file:
        lines = file.readlines()[(day - 1) * 1200 : day * 1200]
    return slow_rows("".join(lines), 13)


def slow_transform(value: int) -> float:
    return math.copysign(math.log(1 + abs(value)), value)


def joined(parts) -> Columns:
    return Columns(*(np.concatenate(columns, axis=-1) for columns in zip(*parts, strict=True)))


def read_codes(prepared: Path, day: Day) -> Columns:
    """The rows of a prepared day as its shards have them."""
    parts = []
    for info in day.shards:
        with open_shard(prepared / info.name) as shard:
            parts.append(shard.read(0, shard.rows))
    return joined(parts)


def read_ids(prepared: Path, day: Day) -> Columns:
    """The rows of a prepared day with ids, translated value by value."""
    columns = read_codes(prepared, day)
    translation = Translation.open(prepared / day.ids.name, day.ids.codes)
    ids = [
        [translation.ids[start + code] if code >= 0 else -code for code in codes]
        for codes, start in zip(columns.sparse.tolist(), translation.starts.tolist(), strict=True)
    ]
    return columns._replace(sparse=np.array(ids))


def assert_equal(a: Columns, b: Columns) -> None:
    for name in Columns._fields:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
