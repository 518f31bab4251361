"""Small click logs for the tests, and the slow way to read them."""

import gzip
import math
from pathlib import Path

import numpy as np

from distdnas_hpc.config import Data
from distdnas_hpc.data.rows import MISSING, NO_TOKEN, Rows

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


def slow_rows(text: str, dense: int) -> Rows:
    """Read a log value by value."""
    table = [line.split("\t") for line in text.splitlines()]
    return Rows(
        np.array([int(row[0]) for row in table], np.uint8),
        np.array([[int(v) if v else MISSING for v in row[1 : 1 + dense]] for row in table], np.int32),
        np.array([[int(v, 16) if v else NO_TOKEN for v in row[1 + dense :]] for row in table], np.int64),
    )


def slow_real_day(day: int) -> Rows:
    with gzip.open(REAL, "rt") as file:
        lines = file.readlines()[(day - 1) * 1200 : day * 1200]
    return slow_rows("".join(lines), 13)


def slow_transform(value: int) -> float:
    return math.copysign(math.log(1 + abs(value)), value)


def joined(parts) -> Rows:
    return Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def assert_equal(a: Rows, b: Rows) -> None:
    for name in Rows._fields:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
