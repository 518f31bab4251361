"""Tab-separated click logs, plain or gzip, read a few megabytes at a time.

A row is: label 0/1, `schema.dense` integers, `schema.sparse` tokens of 8 hexadecimal digits; an empty field is a
missing value. A fast pass parses a block of whole lines with pyarrow and only says that something is wrong; then a slow
pass over that block finds the line and the field, for the sentence that the user gets.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, NoReturn, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from distdnas_hpc.config import Data, Schema
from distdnas_hpc.data.rows import MISSING, NO_TOKEN, Rows
from distdnas_hpc.errors import UserError

BLOCK_BYTES = 4 << 20
"""Text parsed at a time: some 17,000 rows of Criteo. pyarrow is twice as slow with 32 MiB (measured)."""


class Block(NamedTuple):
    """Parsed rows that follow each other in a day.

    Attributes
    ----------
    rows : with tokens in `sparse`.
    text_bytes : length of their text, unpacked.
    fraction : share of the work of reading the day that is done with this block, 0 to 1.
    """

    rows: Rows
    text_bytes: int
    fraction: float


def read_day(data: Data, day: int) -> Iterator[Block]:
    """Parse one day (1-based) in file order, in memory that does not depend on its length.

    Raises
    ------
    UserError : the file can't be read, is empty or damaged, ends before the day does, or has a faulty row.
    """
    if data.rows_per_day is None:
        return _read(data, data.raw_file(day), 0, None)
    return _read(data, data.raw_file(day), (day - 1) * data.rows_per_day, day * data.rows_per_day)


def read_all_days(data: Data) -> Iterator[Block]:
    """Parse all days of a file that is cut into days (`data.rows_per_day`), in one go; raises as `read_day`."""
    assert data.rows_per_day is not None
    return _read(data, data.raw_file(1), 0, data.days * data.rows_per_day)


def parse(text: bytes, schema: Schema, path: Path, first_line: int) -> Rows:
    """Parse whole lines, each ended by a newline (or CR and newline).

    Raises
    ------
    UserError : a faulty row, named by `path` and its line; the first line of `text` is number `first_line`.
    """
    names = ["label", *schema.dense_names, *schema.sparse_names]
    types = [pa.binary(1), *[pa.int32()] * schema.dense, *[pa.binary(8)] * schema.sparse]
    # pyarrow takes these where we do not: 0x1F and blanks in an integer, 8 NULs as a token.
    if any(byte in text for byte in (b"x", b"X", b" ", b"\0")):
        _find_fault(text, schema, path, first_line)
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(column_names=names, block_size=len(text) + 1, use_threads=False),
            parse_options=pa_csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict(zip(names, types, strict=True)), null_values=[""], strings_can_be_null=True
            ),
        ).combine_chunks()
    except pa.ArrowInvalid:
        _find_fault(text, schema, path, first_line)
    n = table.num_rows
    if n != text.count(b"\n"):  # a CR alone is an end of line to pyarrow
        _find_fault(text, schema, path, first_line)
    columns = [column.chunk(0) for column in table.columns]
    label = _fixed_bytes(columns[0], 1)[:, 0] - np.uint8(ord("0"))  # a missing one wraps around, far above 1
    dense = np.empty((n, schema.dense), np.int32)
    sparse = np.empty((n, schema.sparse), np.int64)
    faulty = bool(label.max() > 1)
    for j, column in enumerate(columns[1 : 1 + schema.dense]):
        dense[:, j] = column.fill_null(MISSING).to_numpy()
        faulty |= np.count_nonzero(dense[:, j] == MISSING) != column.null_count
    for j, column in enumerate(columns[1 + schema.dense :]):
        missing = column.is_null().to_numpy(zero_copy_only=False)
        sparse[:, j], valid = decode_tokens(_fixed_bytes(column, 8))
        sparse[missing, j] = NO_TOKEN
        faulty |= not (valid | missing).all()
    if faulty:
        _find_fault(text, schema, path, first_line)
    return Rows(label, dense, sparse)


def _fixed_bytes(column: pa.FixedSizeBinaryArray, width: int) -> NDArray[np.uint8]:
    """View fields of one width as (n, width) bytes; pyarrow leaves NULs where a field is empty."""
    data = np.frombuffer(column.buffers()[1], np.uint8, count=width * len(column), offset=width * column.offset)
    return data.reshape(-1, width)


def decode_tokens(digits: NDArray[np.uint8]) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Turn 8 hexadecimal digits (n, 8), as ASCII, into numbers (n,) and whether each row was digits only."""
    pairs = digits.view(np.uint16)
    numbers = _BYTE_OF_PAIR[pairs].view(">u4").astype(np.uint32)
    return numbers[:, 0], np.asarray(_PAIR_IS_HEX[pairs].all(axis=1))


def _tabulate_pairs() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """For every two bytes seen as one uint16: the byte that they are in hexadecimal, and whether they are."""
    nibble = np.full(256, 255, np.uint8)
    for value, character in enumerate(b"0123456789abcdef"):
        nibble[character] = nibble[ord(chr(character).upper())] = value
    first, second = nibble[np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2)].T
    return (first << 4) | (second & 15), (first < 16) & (second < 16)


_BYTE_OF_PAIR, _PAIR_IS_HEX = _tabulate_pairs()


def _read(data: Data, path: Path, start: int, stop: int | None) -> Iterator[Block]:
    """Parse rows `start` to `stop` (0-based, stop excluded; None = to the end) of a file."""
    row = 0
    with _open(path) as (stream, file):
        size = path.stat().st_size
        for text in _whole_lines(stream, path):
            lines = text.count(b"\n")
            first, last = max(start - row, 0), lines if stop is None else min(stop - row, lines)
            if first < last:
                part = text if last - first == lines else _cut(text, first, last)
                fraction = file.tell() / size if stop is None else (row + last) / stop
                yield Block(parse(part, data.schema_, path, row + first + 1), len(part), min(fraction, 1.0))
            row += lines
            if stop is not None and row >= stop:
                return
    if row == 0:
        raise UserError(f"The raw file {path} has no rows; put a file with rows there or correct data.raw.")
    if stop is not None:
        _tell_too_short(data, path, row)


def _cut(text: bytes, first: int, last: int) -> bytes:
    """Keep the lines number `first` to `last` (0-based, last excluded)."""
    ends = np.concatenate([[0], np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1])
    return text[ends[first] : ends[last]]


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a raw file as (its text, the file itself); gzip is known by its first two bytes."""
    try:
        file = path.open("rb")
        with file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            yield cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file, file
    except FileNotFoundError:
        raise UserError(f"The raw file {path} does not exist; put it there or correct data.raw.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"The raw file {path} is a damaged or cut-off gzip file ({error}); copy it again, "
            "and check the copy with 'gzip -t'."
        ) from None
    except OSError as error:
        raise UserError(
            f"The raw file {path} can't be read ({error.strerror}); mend that or correct data.raw."
        ) from None


def _whole_lines(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    """Yield the text in blocks of whole lines; a last line without a newline gets one."""
    rest = b""
    lines = 0
    while chunk := stream.read(BLOCK_BYTES):
        end = chunk.rfind(b"\n") + 1
        if not end and len(rest) + len(chunk) > BLOCK_BYTES:
            raise UserError(
                f"{path}, line {lines + 1}: a line longer than {BLOCK_BYTES >> 20} MiB; "
                "is this a tab-separated log, plain or gzip (data.raw)?"
            )
        if end:
            text = rest + chunk[:end]
            lines += text.count(b"\n")
            yield text
            rest = b""
        rest += chunk[end:]
    if rest:
        yield rest + b"\n"


def _find_fault(text: bytes, schema: Schema, path: Path, first_line: int) -> NoReturn:
    """Raise the UserError about the first fault among these lines."""
    fields = 1 + schema.dense + schema.sparse
    for number, line in enumerate(text.split(b"\n")[:-1], start=first_line):
        values = line.removesuffix(b"\r").split(b"\t")
        where = f"{path}, line {number}"
        if len(values) != fields:
            found = f"{len(values)} field{'s' * (len(values) > 1)}"
            raise UserError(
                f"{where}: {found}, but the schema has {fields} (a label, {schema.dense} integers, {schema.sparse} "
                "tokens, separated by tabs); mend or remove the line, or correct data.schema."
            )
        if values[0] not in (b"0", b"1"):
            raise UserError(f"{where}: label is {_quote(values[0])} but must be 0 or 1; mend or remove the line.")
        for name, value in zip(schema.dense_names, values[1:], strict=False):
            if value and not (re.fullmatch(rb"-?[0-9]+", value) and MISSING < int(value) < -MISSING):
                raise UserError(
                    f"{where}: {name} is {_quote(value)} but must be an integer from {MISSING + 1} to {-MISSING - 1}, "
                    "or empty; mend or remove the line."
                )
        for name, value in zip(schema.sparse_names, values[1 + schema.dense :], strict=True):
            if value and not re.fullmatch(rb"[0-9a-fA-F]{8}", value):
                raise UserError(
                    f"{where}: {name} is {_quote(value)} but must be 8 hexadecimal digits, or empty; "
                    "mend or remove the line."
                )
    raise RuntimeError(f"{path}, lines from {first_line}: refused by the fast pass but faultless to the slow one")


def _quote(value: bytes) -> str:
    """Show a field's text, so short that it fits a sentence."""
    return repr(value)[1:] if len(value) <= 40 else repr(value[:40])[1:-1] + "…'"


def _tell_too_short(data: Data, path: Path, rows: int) -> NoReturn:
    assert data.rows_per_day is not None
    whole = rows // data.rows_per_day
    first, last = whole * data.rows_per_day + 1, (whole + 1) * data.rows_per_day
    remedy = f"set data.days to {whole} or lower data.rows_per_day" if whole else "lower data.rows_per_day"
    raise UserError(f"{path} has {rows:,} rows, but day {whole + 1} needs rows {first:,}-{last:,}; {remedy}.")
