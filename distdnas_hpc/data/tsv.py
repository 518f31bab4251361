"""Tab-separated click logs without a header, plain or gzip, read a few megabytes at a time.

A row is: label 0/1, `schema.dense` integers, `schema.sparse` tokens of 8 hexadecimal digits; an empty field is a
missing value. `lines` reads and unpacks in a thread, `parser` parses at some millions of rows a second and only says
which lines are faulty, `faults` then says what is wrong with one.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.config import Data
from distdnas_hpc.data.faults import find_fault
from distdnas_hpc.data.lines import read_lines
from distdnas_hpc.data.parser import parse
from distdnas_hpc.data.rows import Columns, Rejected
from distdnas_hpc.errors import UserError

BLOCK_BYTES = 1 << 20
"""Text parsed at a time: some 4,300 rows of Criteo, which stay in a core's cache. No line may be longer."""

REJECTED_BYTES = 4096
"""Text of a rejected line that is kept."""


class Block(NamedTuple):
    """Parsed rows that follow each other in a day.

    Attributes
    ----------
    rows : with tokens in `sparse`.
    text_bytes : length of their text, unpacked.
    fraction : share of the work of reading the day that is done with this block, 0 to 1.
    rejected : rows between these ones that were left out; empty unless `data.on_bad_row` is skip.
    """

    rows: Columns
    text_bytes: int
    fraction: float
    rejected: tuple[Rejected, ...] = ()


def read_day(data: Data, day: int) -> Iterator[Block]:
    """Parse one day (1-based) in file order, in memory that does not depend on its length.

    Raises
    ------
    UserError : the file can't be read, is empty or damaged, ends before the day does, has no good row, or has a faulty
        row and `data.on_bad_row` is fail.
    """
    if data.rows_per_day is None:
        return _read(data, data.raw_file(day), 0, None)
    return _read(data, data.raw_file(day), (day - 1) * data.rows_per_day, day * data.rows_per_day)


def read_all_days(data: Data) -> Iterator[Block]:
    """Parse all days of a file that is cut into days (`data.rows_per_day`), in one go; raises as `read_day`."""
    assert data.rows_per_day is not None
    return _read(data, data.raw_file(1), 0, data.days * data.rows_per_day)


def read_file(data: Data, path: Path) -> Iterator[Block]:
    """Parse all rows of a file, whatever its days; where rows have no label, labels are 0; raises as `read_day`."""
    with closing(read_lines(path, BLOCK_BYTES)) as blocks:
        first = next(blocks, None)
        line = b"" if first is None else first.text.tobytes().partition(b"\n")[0]
    fields = data.schema_.dense + data.schema_.sparse
    return _read(data, path, 0, None, labelled=line.count(b"\t") + 1 != fields)


def _read(
    data: Data, path: Path, start: int, stop: int | None, *, labelled: bool = True
) -> Generator[Block, None, None]:
    """Parse lines `start` to `stop` (0-based, stop excluded; None = to the end) of a file."""
    line = good = 0
    rejected: tuple[Rejected, ...] = ()
    with closing(read_lines(path, BLOCK_BYTES)) as blocks:
        for block in blocks:
            first, last = max(start - line, 0), block.lines if stop is None else min(stop - line, block.lines)
            if first < last:
                text = block.text if last - first == block.lines else _cut(block.text, first, last)
                if not labelled:
                    text = _with_labels(text)
                rows, rejected = _parse(data, path, text, line + first + 1, last - first)
                good += len(rows.label)
                fraction = block.fraction if stop is None else (line + last) / stop
                yield Block(rows, len(text), min(fraction, 1.0), rejected)
            line += block.lines
            if stop is not None and line >= stop:
                break
    if line == 0:
        raise UserError(f"The raw file {path} has no rows; put a file with rows there or correct data.raw.")
    if stop is not None and line < stop:
        _tell_too_short(data, path, line)
    if good == 0:
        number, reason, _ = rejected[-1]
        raise UserError(
            f"{path}, lines {start + 1}-{number}: not one is without fault (the last one: {reason}); "
            "correct data.raw or data.schema."
        )


def _with_labels(text: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put a label in front of each line."""
    starts = np.concatenate([[0], np.flatnonzero(text == ord("\n"))[:-1] + 1])
    return np.insert(text, np.repeat(starts, 2), np.tile(np.frombuffer(b"0\t", np.uint8), len(starts)))


def _cut(text: NDArray[np.uint8], first: int, last: int) -> NDArray[np.uint8]:
    """Keep the lines number `first` to `last` (0-based, last excluded)."""
    ends = np.concatenate([[0], np.flatnonzero(text == ord("\n")) + 1])
    return text[ends[first] : ends[last]]


def _parse(
    data: Data, path: Path, text: NDArray[np.uint8], first_line: int, count: int
) -> tuple[Columns, tuple[Rejected, ...]]:
    """Parse lines of a file from number `first_line` on; raise a UserError about a faulty one, or reject it."""
    schema = data.schema_
    skip = data.on_bad_row == "skip"
    rows, faulty = parse(text, count, schema.dense, schema.sparse, count if skip else 1)
    rejected = []
    for number, begin, end in faulty.tolist():
        line = text[begin:end].tobytes()
        reason, remedy = find_fault(line, schema)
        if not skip:
            raise UserError(f"{path}, line {first_line + number}: {reason}; {remedy}.")
        shown = line[:REJECTED_BYTES].decode(errors="backslashreplace")
        rejected.append(Rejected(first_line + number, reason, shown))
    return rows, tuple(rejected)


def _tell_too_short(data: Data, path: Path, rows: int) -> NoReturn:
    assert data.rows_per_day is not None
    whole = rows // data.rows_per_day
    first, last = whole * data.rows_per_day + 1, (whole + 1) * data.rows_per_day
    remedy = f"set data.days to {whole} or lower data.rows_per_day" if whole else "lower data.rows_per_day"
    raise UserError(f"{path} has {rows:,} rows, but day {whole + 1} needs rows {first:,}-{last:,}; {remedy}.")
