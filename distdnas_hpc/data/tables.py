"""Click logs whose columns have names, CSV with a header and Parquet, read some thousand rows at a time by pyarrow.

A categorical value becomes a token by a hash of its text (an integer: of its decimal digits), so the same log gives the
same tokens from either format. Rows are numbered from 1; a CSV's header and its empty lines do not count.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BufferedIOBase, FileIO, RawIOBase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from distdnas_hpc.config import Data, DayColumn, Schema
from distdnas_hpc.data.columns import read_dense, read_label, read_sparse, show, texts
from distdnas_hpc.data.lines import open_raw
from distdnas_hpc.data.rows import MISSING, Columns, Rejected
from distdnas_hpc.data.tsv import REJECTED_BYTES, Block
from distdnas_hpc.errors import UserError

BLOCK_BYTES = 4 << 20
"""CSV text parsed at a time."""

_REASONS = {
    "straddl": f"a row is longer than {BLOCK_BYTES >> 20} MiB, as after a quote that is not closed",
    "Empty CSV file": "it is empty",
}
"""What pyarrow means."""

BATCH_ROWS = 65_536
"""Rows of Parquet read at a time; pyarrow unpacks a row group at a time, though."""


def read_day(data: Data, day: int) -> Iterator[Block]:
    """Parse one day (1-based) in file order; raises as `source.read_day`."""
    path = data.raw_file(day)
    if data.day is not None:
        return _read(data, path, only=day_values(data)[day - 1], ragged=day == 1)
    if data.rows_per_day is not None:
        return _read(data, path, (day - 1) * data.rows_per_day, day * data.rows_per_day)
    return _read(data, path)


def read_all_days(data: Data) -> Iterator[Block]:
    """Parse all days of one file (`data.rows_per_day` or `data.day`) in one go; raises as `source.read_day`."""
    if data.rows_per_day is not None:
        yield from _read(data, data.raw_file(1), 0, data.days * data.rows_per_day)
    else:
        yield from _read(data, data.raw_file(1))
        day_values(data)


def read_file(data: Data, path: Path) -> Iterator[Block]:
    """Parse all rows of a file, whatever its days; where it has no label column, labels are 0; raises as `read_day`."""
    whole = data.model_copy(update={"day": None})
    schema = data.schema_
    try:
        with _open(path, schema, [str(schema.label)]) as table:
            next(table.batches, None)
    except LackingColumnError:
        return _read(whole, path, labelled=False)
    return _read(whole, path)


def day_values(data: Data) -> tuple[str, ...]:
    """Return what the column of the day says for days 1, 2, …: its sorted values, cut to their first characters.

    Takes a pass over that column of the whole file.

    Raises
    ------
    UserError : they are not as many as `data.days`, or a row has none.
    """
    assert data.day is not None
    path = data.raw_file(1)
    values = _distinct_days(path, data.schema_, data.day, path.stat().st_mtime_ns if path.exists() else 0)
    if len(values) != data.days:
        shown = ", ".join(values[:3]) + (", …" if len(values) > 3 else "")
        raise UserError(
            f"The column {data.day.column} of {path} names {len(values)} days ({shown}), but data.days is {data.days}; "
            f"set data.days to {len(values)} or correct data.day."
        )
    return values


@lru_cache
def _distinct_days(path: Path, schema: Schema, day: DayColumn, changed: int) -> tuple[str, ...]:
    """Return the sorted days of a file; the time of its last change keeps another file from being taken for it."""
    found: set[Any] = set()
    with _open(path, schema, [day.column]) as table:
        for batch in table.batches:
            found.update(pc.unique(_day_of(batch.column(0), day)).to_pylist())
    if None in found:
        raise UserError(f"{path} has a row without a value in the column {day.column}, which names its day; remove it.")
    return tuple(sorted(found))


def _day_of(column: pa.Array, day: DayColumn) -> pa.Array:
    text = texts(column).cast(pa.string())
    return text if day.characters is None else pc.utf8_slice_codeunits(text, 0, day.characters)


class LackingColumnError(UserError):
    """A file has not all columns that are asked for."""


class _Table(NamedTuple):
    """An open table.

    Attributes
    ----------
    batches : of rows, in file order.
    ragged : rows of a wrong length, which are in no batch; pyarrow, which reads ahead, adds them as it meets them.
    fraction : tells the share of the file that is read.
    """

    batches: Iterator[pa.RecordBatch]
    ragged: list[Rejected]
    fraction: Callable[[], float]


def _read(
    data: Data,
    path: Path,
    start: int = 0,
    stop: int | None = None,
    *,
    only: str | None = None,
    ragged: bool = True,
    labelled: bool = True,
) -> Iterator[Block]:
    """Parse rows `start` to `stop` (0-based, stop excluded; None = to the end), only those of a day where one is named.

    `ragged` tells whether rows of a wrong length are faults here: they can't say whose day they are.
    """
    schema = data.schema_
    names = [*([str(schema.label)] if labelled else []), *schema.dense_names, *schema.sparse_names]
    if data.day is not None and data.day.column not in names:
        names.append(data.day.column)
    end = good = 0
    rejected: tuple[Rejected, ...] = ()
    with _open(path, schema, names) as table:
        for batch in table.batches:
            numbers = _number_rows(batch.num_rows, end, table.ragged)
            end = int(numbers[-1]) if len(numbers) else end
            passed = [row for row in table.ragged if row.line <= end]
            del table.ragged[: len(passed)]
            wanted = (numbers > start) & (numbers <= (stop or end))
            if only is not None and data.day is not None:
                wanted &= np.asarray(pc.equal(_day_of(batch.column(data.day.column), data.day), only))
            faults = [row for row in passed if ragged and start < row.line <= (stop or end)]
            if wanted.any() or faults:
                chosen = batch.filter(pa.array(wanted))
                rows, faulty = _parse(chosen, numbers[wanted], schema)
                rejected = tuple(sorted([*faults, *faulty]))
                _refuse(data, path, rejected)
                good += len(rows.label)
                yield Block(rows, chosen.nbytes, min(end / stop, 1.0) if stop else table.fraction(), rejected)
            if stop is not None and end >= stop:
                break
        if ragged and table.ragged and (stop is None or end < stop):  # behind the last good row
            rejected = tuple(table.ragged)
            end = rejected[-1].line
            _refuse(data, path, rejected)
            yield Block(_no_rows(schema), 0, 1.0, rejected)
    if end == 0:
        raise UserError(f"The raw file {path} has no rows; put a file with rows there or correct data.raw.")
    if stop is not None and end < stop:
        raise UserError(f"{path} has {end:,} rows, but the days need {stop:,}; lower data.days or data.rows_per_day.")
    if good == 0:
        raise UserError(f"{path} has no row without a fault for this day ({rejected[-1].reason}); correct data.schema.")


def _number_rows(rows: int, before: int, ragged: list[Rejected]) -> NDArray[np.int64]:
    """Return the row numbers of the next batch, which leave out those of ragged rows."""
    numbers = np.arange(before + 1, before + rows + len(ragged) + 1)
    return numbers[~np.isin(numbers, [row.line for row in ragged])][:rows]


def _refuse(data: Data, path: Path, rejected: Sequence[Rejected]) -> None:
    if rejected and data.on_bad_row == "fail":
        row = rejected[0]
        raise UserError(f"{path}, row {row.line}: {row.reason}; mend or remove the row, or correct data.schema.")


def _parse(batch: pa.RecordBatch, numbers: NDArray[np.int64], schema: Schema) -> tuple[Columns, list[Rejected]]:
    """Turn named columns into rows, and tell which ones were left out and why; their numbers are `numbers`."""
    n = batch.num_rows
    good = np.ones(n, bool)
    rejected = []
    dense, sparse = np.empty((schema.dense, n), np.int32), np.empty((schema.sparse, n), np.int64)

    def check(name: str, valid: NDArray[np.bool_], wanted: str) -> None:
        for i in np.flatnonzero(good & ~valid).tolist():
            row = [show(batch.column(key), i) for key in batch.schema.names]
            found = row[batch.schema.names.index(name)]
            text = ",".join(row)[:REJECTED_BYTES]
            rejected.append(Rejected(int(numbers[i]), f"{name} is {found!r} but must be {wanted}", text))
        np.logical_and(good, valid, out=good)

    label = np.zeros(n, np.uint8)
    if str(schema.label) in batch.schema.names:
        label, valid = read_label(batch.column(str(schema.label)))
        check(str(schema.label), valid, "0 or 1")
    for j, name in enumerate(schema.dense_names):
        dense[j], valid = read_dense(batch.column(name), schema.missing)
        check(name, valid, f"an integer from {MISSING + 1} to {-MISSING - 1}, or empty")
    for j, name in enumerate(schema.sparse_names):
        sparse[j], valid = read_sparse(batch.column(name), schema.missing)
        check(name, valid, "a text without NUL bytes")
    columns = Columns(label, dense, sparse)
    return Columns(label[good], dense[:, good], sparse[:, good]) if rejected else columns, rejected


def _no_rows(schema: Schema) -> Columns:
    return Columns(np.empty(0, np.uint8), np.empty((schema.dense, 0), np.int32), np.empty((schema.sparse, 0), np.int64))


@contextmanager
def _open(path: Path, schema: Schema, names: Sequence[str]) -> Iterator[_Table]:
    """Open a raw file to read some of its columns."""
    try:
        with open_raw(path) as (stream, file):
            if not file.read(1):
                raise UserError(f"The raw file {path} is empty; put a file with rows there or correct data.raw.")
            file.seek(0)
            if schema.format == "csv":
                size = path.stat().st_size
                yield _open_csv(stream, schema, names, lambda: min(file.tell() / size, 1.0))
            else:
                yield _open_parquet(path, file, names)
    except pa.ArrowKeyError as error:
        raise LackingColumnError(
            f"{path} lacks a column that data.schema or data.day names ({error.args[0]}); correct that."
        ) from None
    except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = next((told for known, told in _REASONS.items() if known in str(error)), error)
        raise UserError(
            f"The raw file {path} can't be read as {schema.format} ({reason}); "
            "mend or copy it again, or correct data.raw or data.schema."
        ) from None


def _open_csv(
    stream: BufferedIOBase | RawIOBase, schema: Schema, names: Sequence[str], fraction: Callable[[], float]
) -> _Table:
    ragged: list[Rejected] = []

    def note(row: Any) -> str:
        fields = f"{row.actual_columns} field{'s' * (row.actual_columns != 1)}"
        text = row.text[:REJECTED_BYTES]
        ragged.append(Rejected(row.number - 1, f"{fields}, but the header has {row.expected_columns}", text))
        return "skip"

    batches = pa_csv.open_csv(
        pa.PythonFile(stream, mode="r"),
        # Rows are numbered only where they are read one after another.
        read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
        parse_options=pa_csv.ParseOptions(delimiter=schema.separator or ",", invalid_row_handler=note),
        convert_options=pa_csv.ConvertOptions(
            include_columns=names,
            column_types=dict.fromkeys(names, pa.binary()),
            null_values=["", schema.missing],
            strings_can_be_null=True,
        ),
    )
    return _Table(iter(batches), ragged, fraction)


def _open_parquet(path: Path, file: FileIO, names: Sequence[str]) -> _Table:
    table = pq.ParquetFile(file, page_checksum_verification=True)
    for name in names:
        if name not in table.schema_arrow.names:
            raise pa.ArrowKeyError(f"Column '{name}' does not exist in Parquet file")
    read = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal read
        for batch in table.iter_batches(BATCH_ROWS, columns=list(names), use_threads=False):
            read += batch.num_rows
            yield batch

    return _Table(batches(), [], lambda: read / table.metadata.num_rows)
