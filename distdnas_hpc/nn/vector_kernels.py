"""Compiled kernels of what happens among the few small vectors of each row: attention and products of pairs.

As matrix products these are 16 × 4 and smaller, one for each row and head, far below what a library does well. Here
LANES rows are computed side by side: their vectors are copied to (…, LANES), and every innermost loop goes over rows.
"""

import numba
import numpy as np
from numba.extending import intrinsic
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled

Array = NDArray[np.float32]

LANES = 64
"""Four vector registers of AVX-512: with fewer rows, setting up the short loops costs more than the loops."""


@compiled
def attention_forward(heads: int, query: Array, key_value: Array, attended: Array) -> None:
    """Let query (n, B, dim_s) attend to key_value (m, B, 2 dim_s): softmax(Q Kᵀ / √(dim_s/heads)) V in each head."""
    n, rows, dim_s = query.shape
    m, of_head = len(key_value), dim_s // heads
    scale = np.float32(1 / np.sqrt(of_head))
    q, o = np.zeros((n, dim_s, LANES), np.float32), np.zeros((n, dim_s, LANES), np.float32)
    kv = np.zeros((m, 2 * dim_s, LANES), np.float32)
    p = np.zeros((m, LANES), np.float32)
    for first in range(0, rows, LANES):
        _take(query, first, q)
        _take(key_value, first, kv)
        o[:] = 0
        for begin in range(0, dim_s, of_head):
            for i in range(n):
                _probabilities(q, kv, begin, of_head, i, scale, p)
                for c in range(begin, begin + of_head):
                    for j in range(m):
                        _add_product(o[i, c], p[j], kv[j, dim_s + c])
        _put(o, first, attended)


@compiled
def attention_backward(
    heads: int, query: Array, key_value: Array, gradient: Array, of_query: Array, of_key_value: Array
) -> None:
    """Write the gradients of `attention_forward`'s inputs from that of its output; probabilities are made again."""
    n, rows, dim_s = query.shape
    m, of_head = len(key_value), dim_s // heads
    scale = np.float32(1 / np.sqrt(of_head))
    q, g = np.zeros((n, dim_s, LANES), np.float32), np.zeros((n, dim_s, LANES), np.float32)
    kv = np.zeros((m, 2 * dim_s, LANES), np.float32)
    to_q, to_kv = np.zeros((n, dim_s, LANES), np.float32), np.zeros((m, 2 * dim_s, LANES), np.float32)
    p, to_p, total = np.zeros((m, LANES), np.float32), np.zeros((m, LANES), np.float32), np.zeros(LANES, np.float32)
    for first in range(0, rows, LANES):
        _take(query, first, q)
        _take(key_value, first, kv)
        _take(gradient, first, g)
        to_q[:] = 0
        to_kv[:] = 0
        for begin in range(0, dim_s, of_head):
            for i in range(n):
                _probabilities(q, kv, begin, of_head, i, scale, p)
                total[:] = 0
                for j in range(m):
                    to_p[j] = 0
                    for c in range(begin, begin + of_head):
                        _add_product(to_p[j], g[i, c], kv[j, dim_s + c])
                        _add_product(to_kv[j, dim_s + c], g[i, c], p[j])
                    _add_product(total, p[j], to_p[j])
                for j in range(m):  # from here on to_p is the gradient of the scores
                    for lane in range(LANES):
                        to_p[j, lane] = scale * p[j, lane] * (to_p[j, lane] - total[lane])
                    for c in range(begin, begin + of_head):
                        _add_product(to_q[i, c], to_p[j], kv[j, c])
                        _add_product(to_kv[j, c], to_p[j], q[i, c])
        _put(to_q, first, of_query)
        _put(to_kv, first, of_key_value)


@compiled
def pairs_forward(vectors: Array, products: Array) -> None:
    """Write the inner products of all pairs of vectors (k, B, dim_s), row by row of the lower triangle: (pairs, B)."""
    k, rows, dim_s = vectors.shape
    x, total = np.zeros((k, dim_s, LANES), np.float32), np.zeros(LANES, np.float32)
    for first in range(0, rows, LANES):
        _take(vectors, first, x)
        pair = 0
        for i in range(k):
            for j in range(i):
                total[:] = 0
                for c in range(dim_s):
                    _add_product(total, x[i, c], x[j, c])
                part = products[pair, first : first + LANES]
                part[:] = total[: len(part)]
                pair += 1


@compiled
def pairs_backward(vectors: Array, gradient: Array, of_vectors: Array) -> None:
    """Write the gradient of `pairs_forward`'s vectors from that of the products, (B, pairs)."""
    k, rows, dim_s = vectors.shape
    x, to_x = np.zeros((k, dim_s, LANES), np.float32), np.zeros((k, dim_s, LANES), np.float32)
    g = np.zeros((gradient.shape[1], LANES), np.float32)
    for first in range(0, rows, LANES):
        _take(vectors, first, x)
        for lane in range(min(LANES, rows - first)):
            for pair in range(len(g)):
                g[pair, lane] = gradient[first + lane, pair]
        to_x[:] = 0
        pair = 0
        for i in range(k):
            for j in range(i):
                for c in range(dim_s):
                    _add_product(to_x[i, c], g[pair], x[j, c])
                    _add_product(to_x[j, c], g[pair], x[i, c])
                pair += 1
        _put(to_x, first, of_vectors)


@compiled
def _take(source: Array, first: int, lanes: Array) -> None:
    """Copy LANES rows from `first` on, or those that are left, of (vectors, B, width) to (vectors, width, LANES)."""
    for i in range(source.shape[0]):
        for lane in range(min(LANES, source.shape[1] - first)):
            for c in range(source.shape[2]):
                lanes[i, c, lane] = source[i, first + lane, c]


@compiled
def _put(lanes: Array, first: int, target: Array) -> None:
    """Undo `_take`."""
    for i in range(target.shape[0]):
        for lane in range(min(LANES, target.shape[1] - first)):
            for c in range(target.shape[2]):
                target[i, first + lane, c] = lanes[i, c, lane]


@compiled
def _add_product(total: Array, a: Array, b: Array) -> None:
    for lane in range(LANES):
        total[lane] += a[lane] * b[lane]


@compiled
def _probabilities(q: Array, kv: Array, begin: int, of_head: int, i: int, scale: np.float32, p: Array) -> None:
    """Write the softmax of query i's scores in the head whose coordinates begin at `begin`."""
    highest = np.full(LANES, np.float32(-np.inf))
    total = np.zeros(LANES, np.float32)
    for j in range(len(p)):
        p[j] = 0
        for c in range(begin, begin + of_head):
            _add_product(p[j], q[i, c], kv[j, c])
        for lane in range(LANES):
            p[j, lane] *= scale
            highest[lane] = max(highest[lane], p[j, lane])
    for j in range(len(p)):
        for lane in range(LANES):
            p[j, lane] = _exp(p[j, lane] - highest[lane])
            total[lane] += p[j, lane]
    for lane in range(LANES):
        total[lane] = np.float32(1) / total[lane]
    for j in range(len(p)):
        for lane in range(LANES):
            p[j, lane] *= total[lane]


@intrinsic
def _float_of_bits(context, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    def generate(target, builder, signature, arguments):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return builder.bitcast(arguments[0], target.get_value_type(numba.types.float32))

    return numba.types.float32(numba.types.int32), generate


@compiled
def _exp(x: np.float32) -> np.float32:
    """eˣ for x ≤ 0 within 3e-7, relatively, without the call that would keep a loop from being vectorised; nan stays.

    2 to the whole part of x/ln 2 by its bits, times the Taylor series of e to the rest, |rest| ≤ ½ ln 2; ln 2 in two
    parts, whose first times a whole number is exact (Cody & Waite, 1980). What is below 2⁻¹²⁶ becomes about that.
    """
    x = max(x, np.float32(-87.33))
    whole = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    rest = x - whole * np.float32(0.693359375) + whole * np.float32(2.12194440e-4)
    series = np.float32(1 / 720)
    for factor in (np.float32(1 / 120), np.float32(1 / 24), np.float32(1 / 6), np.float32(0.5)):
        series = series * rest + factor
    series = (series * rest + np.float32(1)) * rest + np.float32(1)
    return series * _float_of_bits(np.int32((np.int32(whole) + 127) << 23))
