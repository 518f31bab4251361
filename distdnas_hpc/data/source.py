"""The rows of a day, whatever the format of the raw files."""

from collections.abc import Iterator
from pathlib import Path

from distdnas_hpc.config import Data
from distdnas_hpc.data import tables, tsv
from distdnas_hpc.data.tsv import Block


def read_day(data: Data, day: int) -> Iterator[Block]:
    """Parse one day (1-based) in file order, in memory that does not depend on its length.

    Raises
    ------
    UserError : the file can't be read, is empty or damaged, ends before the day does, or has a faulty row.
    """
    return tsv.read_day(data, day) if data.schema_.format == "tsv" else tables.read_day(data, day)


def read_all_days(data: Data) -> Iterator[Block]:
    """Parse all days of one file in one go; raises as `read_day`."""
    return tsv.read_all_days(data) if data.schema_.format == "tsv" else tables.read_all_days(data)


def read_file(data: Data, path: Path) -> Iterator[Block]:
    """Parse all rows of another file of the same format, whatever its days; labels may be missing, and are 0 then.

    A faulty row is refused, whatever `data.on_bad_row` says: each row counts.

    Raises
    ------
    UserError : as `read_day`.
    """
    strict = data.model_copy(update={"on_bad_row": "fail"})
    return (tsv if data.schema_.format == "tsv" else tables).read_file(strict, path)
