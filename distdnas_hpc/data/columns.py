"""Columns of pyarrow to columns of rows: labels, dense integers, tokens of categorical values.

Each distinct value of a batch is converted once, and then spread over the rows that have it.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from distdnas_hpc.data.rows import MISSING, NO_TOKEN
from distdnas_hpc.data.text_hash import hash_texts

Mask = NDArray[np.bool_]


def read_label(column: pa.Array) -> tuple[NDArray[np.uint8], Mask]:
    """Return labels (n,) and whether each is 0 or 1 (or false or true)."""
    distinct, place = _distinct(column.cast(pa.uint8()) if pa.types.is_boolean(column.type) else column, "")
    values = distinct.to_pylist()
    label = np.array([value == b"1" for value in values], np.uint8)
    valid = np.array([value in (b"0", b"1") for value in values])
    return label[place], valid[place]


def read_dense(column: pa.Array, missing: str) -> tuple[NDArray[np.int32], Mask]:
    """Return integers (n,), `MISSING` where there is none, and whether each value is an integer in range, or none."""
    distinct, place = _distinct(column, missing)
    is_integer = pc.match_substring_regex(distinct, r"^-?[0-9]{1,18}$").fill_null(False)
    values = pc.if_else(is_integer, distinct, None).cast(pa.string()).cast(pa.int64())
    numbers = values.fill_null(MISSING).to_numpy(zero_copy_only=False)
    in_range = np.abs(numbers) < -MISSING
    valid = np.asarray(distinct.is_null()) | (np.asarray(is_integer) & in_range)
    return np.where(in_range, numbers, MISSING).astype(np.int32)[place], valid[place]


def read_sparse(column: pa.Array, missing: str) -> tuple[NDArray[np.int64], Mask]:
    """Return tokens (n,), `NO_TOKEN` where there is no value, and whether each value is free of NUL bytes."""
    distinct, place = _distinct(column, missing)
    tokens = np.empty(len(distinct), np.int64)
    _, ends, text = distinct.buffers()
    hash_texts(
        np.empty(0, np.uint8) if text is None else np.frombuffer(text, np.uint8),
        np.frombuffer(ends, np.int32)[distinct.offset : distinct.offset + len(distinct) + 1],
        tokens,
    )
    tokens[np.asarray(distinct.is_null())] = NO_TOKEN
    valid = ~np.asarray(pc.match_substring(distinct, "\0").fill_null(False))
    return tokens[place], valid[place]


def texts(column: pa.Array, missing: str = "") -> pa.Array:
    """Return any column as texts (binary), null where it is null, empty or `missing`.

    Whole floating-point numbers are taken for integers: that is how pandas keeps integers of which some are missing.
    """
    if pa.types.is_floating(column.type):
        column = _float_texts(column)
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        column = column.cast(pa.string())
    text = column.cast(pa.binary())
    return pc.if_else(pc.is_in(text, pa.array([b"", missing.encode()], pa.binary())), None, text)


def _float_texts(column: pa.Array) -> pa.Array:
    whole = pc.fill_null(pc.and_(pc.is_finite(column), pc.equal(column, pc.trunc(column))), False)
    short = pc.and_(whole, pc.less(pc.abs(column), 2.0**63))  # others overrun 64 bits
    integers = pc.if_else(short, column, None).cast(pa.int64(), safe=False).cast(pa.string())
    text = pc.coalesce(integers, pc.if_else(pc.is_nan(column), None, column).cast(pa.string()))
    long = pc.and_not(whole, short)
    digits = pa.array([str(int(value)) for value in column.filter(long).to_pylist()], pa.string())
    return pc.replace_with_mask(text, long, digits)


def show(column: pa.Array, row: int) -> str:
    """Return the text of one value for a sentence; nothing for a missing one."""
    value = texts(column.slice(row, 1))[0].as_py()
    return "" if value is None else value.decode(errors="replace")


def _distinct(column: pa.Array, missing: str) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return texts, the last of which is null, and for each row (n,) which of them it has."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    distinct = pa.concat_arrays([texts(encoded.dictionary, missing), pa.nulls(1, pa.binary())])
    place = encoded.indices.cast(pa.int64()).fill_null(len(distinct) - 1).to_numpy(zero_copy_only=False)
    return distinct, place
