"""Stored columns to rows against numpy, and f(x) to the last bit."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distdnas_hpc.data.decode import Decoder
from distdnas_hpc.data.rows import MISSING, Columns
from distdnas_hpc.data.translation import Translation

Out = tuple[np.ndarray, np.ndarray, np.ndarray]


def room_for(columns: Columns, rows: int, ids: type = np.int64, fill: int = 0) -> Out:
    """Arrays for rows one after the other."""
    dense, sparse = len(columns.dense), len(columns.sparse)
    return (
        np.full(rows, fill, np.float32),
        np.full((rows, dense), fill, np.float32),
        np.full((rows, sparse), fill, ids),
    )


def f(values) -> np.ndarray:
    """f(x) of integers as the kernel computes it."""
    dense = np.array(values, np.int32)[None]
    n = dense.shape[1]
    columns = Columns(np.zeros(n, np.uint8), dense, np.zeros((1, n), np.int32))
    out = room_for(columns, n)
    Decoder(Translation(np.zeros(1, np.int32), np.zeros(1, np.int64)), np.zeros(1), np.ones(1)).decode(columns, 0, *out)
    return out[1][:, 0]


def exact_f(x: int) -> np.float32:
    """f(x) with 30 digits, rounded once."""
    with localcontext() as context:
        context.prec = 30
        return np.float32(float(Decimal(1 + abs(x)).ln().copy_sign(Decimal(x))))


@given(st.lists(st.integers(1 - 2**31, 2**31 - 1), min_size=1, max_size=50))
@example([sign * (2**k + d) for k in range(31) for d in (-2, -1, 0) for sign in (-1, 1)])
@settings(deadline=None)
def test_f_is_the_nearest_float32(values):
    assert f(values).tolist() == [exact_f(x) for x in values]


def test_f_is_the_nearest_float32_for_small_counts():
    values = np.arange(-3000, 3000)
    assert f(values).tolist() == [exact_f(int(x)) for x in values]


def test_f_has_the_same_bits_on_every_machine():
    bits = f([0, 1, 2, 9, 100, 1_601_234, 2**31 - 1, -2, 1 - 2**31]).view(np.uint32)
    assert " ".join(f"{b:08x}" for b in bits) == (
        "00000000 3f317218 3f8c9f54 40135d8e 4093af11 416494a0 41abe687 bf8c9f54 c1abe687"
    )


def by_numpy(values: np.ndarray) -> np.ndarray:
    """f(x) of floats, up to the last bits."""
    return np.copysign(np.log1p(np.abs(values)), values)


CODES = 50
"""Codes of each column, beside 0."""


@st.composite
def stored(draw):
    """Rows of any shape, and which stretch of them to decode."""
    n, dense, sparse = (
        draw(st.sampled_from([1, 2, 127, 128, 129, 300])),
        draw(st.integers(1, 14)),
        draw(st.integers(1, 27)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    columns = Columns(
        rng.integers(0, 2, n, np.uint8),
        np.where(rng.random((dense, n)) < 0.2, MISSING, rng.integers(-5, 2**20, (dense, n))).astype(np.int32),
        rng.integers(-CODES, CODES + 1, (sparse, n), np.int32),
    )
    start = draw(st.integers(0, n))
    return columns, start, draw(st.integers(start, n)), rng


@given(stored(), st.sampled_from([np.int32, np.int64]))
@settings(deadline=None)
def test_codes_become_ids_and_dense_values_are_standardised(columns_and_stretch, ids):
    columns, start, stop, rng = columns_and_stretch
    dense, sparse = len(columns.dense), len(columns.sparse)
    mean, std = np.linspace(-1, 3, dense), np.linspace(0.5, 2, dense)
    tables = rng.integers(0, 2**31, (sparse, CODES + 1), np.int32)
    translation = Translation(tables.ravel(), np.arange(sparse) * (CODES + 1))
    found = room_for(columns, stop - start, ids)
    Decoder(translation, mean, 1 / std).decode(columns, start, *found)

    assert found[0].tolist() == columns.label[start:stop].tolist()
    x = columns.dense[:, start:stop].T
    expected = np.where(x == MISSING, 0, (by_numpy(x.astype(float)) - mean) / std)
    np.testing.assert_allclose(found[1], expected, rtol=1e-6, atol=1e-7)
    assert (found[1][x == MISSING] == 0).all()
    for j in range(sparse):
        of_code = [tables[j, code] if code >= 0 else -code for code in columns.sparse[j, start:stop]]
        assert found[2][:, j].tolist() == of_code


def test_only_the_given_part_of_a_batch_is_written():
    columns = Columns(np.ones(5, np.uint8), np.ones((2, 5), np.int32), -np.ones((3, 5), np.int32))
    out = room_for(columns, 9, fill=-7)
    decoder = Decoder(Translation(np.zeros(1, np.int32), np.zeros(3, np.int64)), np.zeros(2), np.ones(2))
    decoder.decode(columns, 1, *(array[2:6] for array in out))
    for array in out:
        assert (array[2:6] != -7).all()
        assert (array[:2] == -7).all()
        assert (array[6:] == -7).all()


@pytest.mark.parametrize("value", [0, MISSING + 1, 2**31 - 1])
def test_the_extremes_are_not_missing(value):
    assert f([value]) == exact_f(value)
    assert not np.isnan(f([value])).any()
