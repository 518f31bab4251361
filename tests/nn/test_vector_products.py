"""The compiled kernels against torch's products in float64, which does not take them."""

import numba
import numpy as np
import pytest
import torch
from torch.autograd import grad

from distdnas_hpc.nn.lanes import LANES, exp, exp2, load, put, room, store, take
from distdnas_hpc.nn.vector_products import attention, pair_products

ROWS = [1, LANES, 2 * LANES + 3]


def both(function, *inputs):
    """Values and gradients by the kernels, and in float64."""
    found = []
    for dtype in (torch.float32, torch.float64):
        of_type = [x.to(dtype).requires_grad_() for x in inputs]
        y = function(*of_type)
        factor = torch.linspace(-1, 1, y.numel(), dtype=dtype).reshape(y.shape)
        found.append((y.detach(), *grad((factor * y).sum(), of_type)))
    return found


def close(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype != theirs.dtype
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention(rows, heads):
    torch.manual_seed(0)
    query, key_value = torch.randn(5, rows, 8), torch.randn(7, rows, 16)
    close(*both(lambda q, kv: attention(q, kv, heads), query, key_value))


def test_attention_to_scores_far_apart_is_the_vector_of_the_highest():
    query, key_value = torch.full((1, 3, 4), 1000.0), torch.randn(6, 3, 8)
    key_value[:, :, :4] = -1.0
    key_value[2, :, :4] = 1.0
    torch.testing.assert_close(attention(query, key_value, 1)[0], key_value[2, :, 4:])


def test_what_is_not_finite_stays_visible():
    query, key_value = torch.randn(2, 3, 4), torch.randn(5, 3, 8)
    query[1, 2, 0] = float("nan")
    assert attention(query, key_value, 1).isfinite().all(-1).tolist() == [[True] * 3, [True, True, False]]


@pytest.mark.parametrize("rows", ROWS)
def test_pair_products(rows):
    torch.manual_seed(0)
    vectors = torch.randn(6, rows, 4)
    close(*both(pair_products, vectors))
    expected = [vectors[i, 0] @ vectors[j, 0] for i in range(6) for j in range(i)]
    torch.testing.assert_close(pair_products(vectors)[0], torch.stack(expected))


@pytest.mark.parametrize(("function", "exact", "least"), [(exp, np.exp, -87), (exp2, np.exp2, -126)])
def test_powers(function, exact, least):
    x = np.concatenate([np.linspace(least, 0, 10_000), np.linspace(-1, 0, 1000)]).astype(np.float32)[: 687 * LANES]
    found = in_lanes(function, x).astype(np.float64)
    assert found == pytest.approx(exact(x.astype(np.float64)), rel=3e-7)
    edges = in_lanes(function, np.array([-np.inf, -1e30, 0, np.nan] * (LANES // 4), np.float32))
    assert (edges[:2] < 2e-38).all()
    assert edges[2] == 1
    assert np.isnan(edges[3])


def in_lanes(function, x):
    @numba.njit
    def all_of(x):
        found = room(len(x) // LANES)
        for place in range(len(x) // LANES):
            store(found, place, function(load(x, place)))
        return found

    return all_of(x)


@pytest.mark.parametrize("width", [5, LANES, 2 * LANES, 2 * LANES + 3])
@pytest.mark.parametrize("rows", [1, LANES, LANES + 3])
def test_rows_come_to_lie_side_by_side_and_go_back(rows, width):
    source = np.random.default_rng(0).random((3, rows, width), np.float32)
    target = np.zeros_like(source)
    for first in range(0, rows, LANES):
        buffer = room(3 * width)
        take(source, first, buffer)
        part = source[:, first : first + LANES]
        side_by_side = buffer.reshape(3, width, LANES)[:, :, : part.shape[1]]
        assert (side_by_side == part.transpose(0, 2, 1)).all()
        put(buffer, first, target)
    assert (target == source).all()
