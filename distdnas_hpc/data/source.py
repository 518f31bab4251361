"""The rows of a day, whatever the format of the raw files."""

from collections.abc import Iterator

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
