"""Picked rows against numpy, and f(x) to the last bit."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distdnas_hpc.data.normalise import normalise_rows
from distdnas_hpc.data.rows import MISSING, Rows


def batch_of(rows: Rows, order, mean, std) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    b, dense, sparse = len(order), rows.dense.shape[1], rows.sparse.shape[1]
    out = np.empty(b, np.float32), np.empty((b, dense), np.float32), np.empty((b, sparse), np.int64)
    normalise_rows(*rows, np.array(order, np.int64), np.array(mean, float), 1 / np.array(std, float), *out)
    return out


def f(values) -> np.ndarray:
    """f(x) of integers as the kernel computes it."""
    dense = np.array(values, np.int32)[:, None]
    rows = Rows(np.zeros(len(dense), np.uint8), dense, np.zeros((len(dense), 1), np.int32))
    return batch_of(rows, range(len(dense)), [0], [1])[1][:, 0]


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


@st.composite
def stored(draw):
    """Rows of any shape, and which of them to pick."""
    n, dense, sparse = draw(st.integers(1, 40)), draw(st.integers(1, 14)), draw(st.integers(1, 27))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    rows = Rows(
        rng.integers(0, 2, n, np.uint8),
        np.where(rng.random((n, dense)) < 0.2, MISSING, rng.integers(-5, 2**20, (n, dense))).astype(np.int32),
        rng.integers(0, 2**31, (n, sparse), np.int32),
    )
    return rows, rng.integers(0, n, draw(st.sampled_from([0, 1, 2, 63, 64, 65, 128, 200])))


@given(stored())
@settings(deadline=None)
def test_rows_are_picked_in_any_order_and_standardised(rows_and_order):
    rows, order = rows_and_order
    mean, std = np.linspace(-1, 3, rows.dense.shape[1]), np.linspace(0.5, 2, rows.dense.shape[1])
    label, dense, sparse = batch_of(rows, order, mean, std)
    assert label.tolist() == rows.label[order].tolist()
    assert sparse.tolist() == rows.sparse[order].tolist()
    expected = np.where(rows.dense == MISSING, 0, (by_numpy(rows.dense.astype(float)) - mean) / std)[order]
    np.testing.assert_allclose(dense, expected, rtol=1e-6, atol=1e-7)
    assert (dense[rows.dense[order] == MISSING] == 0).all()


def test_only_the_given_part_of_a_batch_is_written():
    rows = Rows(np.ones(5, np.uint8), np.ones((5, 2), np.int32), np.ones((5, 3), np.int32))
    out = np.full(9, -7, np.float32), np.full((9, 2), -7, np.float32), np.full((9, 3), -7, np.int64)
    part = [column[2:6] for column in out]
    normalise_rows(*rows, np.array([0, 1, 2, 3]), np.zeros(2), np.ones(2), *part)
    for column in out:
        assert (column[2:6] != -7).all()
        assert (column[:2] == -7).all()
        assert (column[6:] == -7).all()


@pytest.mark.parametrize("value", [0, MISSING + 1, 2**31 - 1])
def test_the_extremes_are_not_missing(value):
    assert f([value]) == exact_f(value)
    assert not np.isnan(f([value])).any()
