"""Compiled kernels of what happens among the few small vectors of each row: attention and products of pairs.

As matrix products these are 16 × 4 and smaller, one for each row and head, far below what a library does well. Here 16
rows are computed side by side, one in each lane of `nn.lanes`: all that they need stays in a core's first cache.
"""

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.nn.lanes import (
    LANES,
    Buffer,
    add_product,
    everywhere,
    exp,
    invert,
    larger,
    load,
    multiply,
    put,
    room,
    store,
    subtract,
    take,
    zeros,
)

Array = NDArray[np.float32]


@compiled
def attention_forward(heads: int, query: Array, key_value: Array, attended: Array) -> None:
    """Let query (n, B, dim_s) attend to key_value (m, B, 2 dim_s): softmax(Q Kᵀ / √(dim_s/heads)) V in each head."""
    n, rows, dim_s = query.shape
    m, of_head = len(key_value), dim_s // heads
    q, kv, o, p = room(n * dim_s), room(m * 2 * dim_s), room(n * dim_s), room(m)
    for first in range(0, rows, LANES):
        take(query, first, q)
        take(key_value, first, kv)
        for begin in range(0, dim_s, of_head):
            for i in range(n):
                _probabilities(q, kv, dim_s, begin, of_head, i, p, m)
                for c in range(begin, begin + of_head):
                    total = zeros()
                    for j in range(m):
                        total = add_product(total, load(p, j), load(kv, (2 * j + 1) * dim_s + c))
                    store(o, i * dim_s + c, total)
        put(o, first, attended)


@compiled
def attention_backward(
    heads: int, query: Array, key_value: Array, gradient: Array, of_query: Array, of_key_value: Array
) -> None:
    """Write the gradients of `attention_forward`'s inputs from that of its output; probabilities are made again."""
    n, rows, dim_s = query.shape
    m, of_head = len(key_value), dim_s // heads
    scale = everywhere(np.float32(1 / np.sqrt(of_head)))
    q, g, kv, p = room(n * dim_s), room(n * dim_s), room(m * 2 * dim_s), room(m)
    to_q, to_kv, to_p = room(n * dim_s), room(m * 2 * dim_s), room(m)
    for first in range(0, rows, LANES):
        take(query, first, q)
        take(key_value, first, kv)
        take(gradient, first, g)
        to_kv[:] = 0
        for begin in range(0, dim_s, of_head):
            for i in range(n):
                _probabilities(q, kv, dim_s, begin, of_head, i, p, m)
                total = zeros()
                for j in range(m):
                    of_p, p_j = zeros(), load(p, j)
                    for c in range(begin, begin + of_head):
                        g_c, value = load(g, i * dim_s + c), (2 * j + 1) * dim_s + c
                        of_p = add_product(of_p, g_c, load(kv, value))
                        store(to_kv, value, add_product(load(to_kv, value), g_c, p_j))
                    store(to_p, j, of_p)
                    total = add_product(total, p_j, of_p)
                for j in range(m):  # from here on to_p is the gradient of the scores
                    of_score = multiply(multiply(scale, load(p, j)), subtract(load(to_p, j), total))
                    store(to_p, j, of_score)
                    for c in range(begin, begin + of_head):
                        key = 2 * j * dim_s + c
                        store(to_kv, key, add_product(load(to_kv, key), of_score, load(q, i * dim_s + c)))
                for c in range(begin, begin + of_head):
                    of_q = zeros()
                    for j in range(m):
                        of_q = add_product(of_q, load(to_p, j), load(kv, 2 * j * dim_s + c))
                    store(to_q, i * dim_s + c, of_q)
        put(to_q, first, of_query)
        put(to_kv, first, of_key_value)


@compiled
def pairs_forward(vectors: Array, products: Array) -> None:
    """Write the inner products of all pairs of vectors (k, B, dim_s), row by row of the lower triangle: (pairs, B)."""
    k, rows, dim_s = vectors.shape
    x, y = room(k * dim_s), room(1)
    for first in range(0, rows, LANES):
        take(vectors, first, x)
        pair = 0
        for i in range(k):
            for j in range(i):
                total = zeros()
                for c in range(dim_s):
                    total = add_product(total, load(x, i * dim_s + c), load(x, j * dim_s + c))
                store(y, 0, total)
                part = products[pair, first : first + LANES]
                part[:] = y[: len(part)]
                pair += 1


@compiled
def pairs_backward(vectors: Array, gradient: Array, of_vectors: Array) -> None:
    """Write the gradient of `pairs_forward`'s vectors from that of the products, (B, pairs)."""
    k, rows, dim_s = vectors.shape
    x, to_x, g = room(k * dim_s), room(k * dim_s), room(gradient.shape[1])
    of_rows = gradient.reshape((1, rows, gradient.shape[1]))
    for first in range(0, rows, LANES):
        take(vectors, first, x)
        take(of_rows, first, g)
        for i in range(k):
            for c in range(dim_s):
                total = zeros()
                for j in range(i):
                    total = add_product(total, load(g, i * (i - 1) // 2 + j), load(x, j * dim_s + c))
                for j in range(i + 1, k):
                    total = add_product(total, load(g, j * (j - 1) // 2 + i), load(x, j * dim_s + c))
                store(to_x, i * dim_s + c, total)
        put(to_x, first, of_vectors)


@compiled
def _probabilities(q: Buffer, kv: Buffer, dim_s: int, begin: int, of_head: int, i: int, p: Buffer, m: int) -> None:
    """Write the softmax of query i's scores in the head whose coordinates begin at `begin`."""
    scale = everywhere(np.float32(1 / np.sqrt(of_head)))
    highest = everywhere(np.float32(-np.inf))
    for j in range(m):
        score = zeros()
        for c in range(begin, begin + of_head):
            score = add_product(score, load(q, i * dim_s + c), load(kv, 2 * j * dim_s + c))
        score = multiply(score, scale)
        store(p, j, score)
        highest = larger(highest, score)
    total, one = zeros(), everywhere(np.float32(1))
    for j in range(m):
        power = exp(subtract(load(p, j), highest))
        store(p, j, power)
        total = add_product(total, one, power)
    share = invert(total)
    for j in range(m):
        store(p, j, multiply(load(p, j), share))
