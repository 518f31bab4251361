"""Compiled kernels of what happens among the few small vectors of each row: attention and products of pairs.

As matrix products these are 16 × 4 and smaller, one for each row and head, far below what a library does well. Here 16
rows are computed side by side, one in each lane of `nn.lanes`: all that they need stays in a core's first cache.
"""

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.nn.encoder_kernels import attend, attend_backward
from distdnas_hpc.nn.lane_layers import Array, clear
from distdnas_hpc.nn.lanes import LANES, add_product, load, put, room, store, take, zeros


@compiled
def attention_forward(heads: int, query: Array, key_value: Array, attended: Array) -> None:
    """Let query (n, B, dim_s) attend to key_value (m, B, 2 dim_s): softmax(Q Kᵀ / √(dim_s/heads)) V in each head."""
    n, rows, dim_s = query.shape
    m = len(key_value)
    q, kv, p, o = room(n * dim_s), room(m * 2 * dim_s), room(heads * n * m), room(n * dim_s)
    for first in range(0, rows, LANES):
        take(query, first, q)
        take(key_value, first, kv)
        attend(heads, n, m, dim_s, q, kv, p, o)
        put(o, first, attended)


@compiled
def attention_backward(
    heads: int, query: Array, key_value: Array, gradient: Array, of_query: Array, of_key_value: Array
) -> None:
    """Write the gradients of `attention_forward`'s inputs from that of its output; probabilities are made again."""
    n, rows, dim_s = query.shape
    m = len(key_value)
    q, kv, p, o, g = room(n * dim_s), room(m * 2 * dim_s), room(heads * n * m), room(n * dim_s), room(n * dim_s)
    to_q, to_kv, to_p = room(n * dim_s), room(m * 2 * dim_s), room(n * m)
    for first in range(0, rows, LANES):
        take(query, first, q)
        take(key_value, first, kv)
        take(gradient, first, g)
        attend(heads, n, m, dim_s, q, kv, p, o)
        clear(to_q, n * dim_s)
        clear(to_kv, m * 2 * dim_s)
        attend_backward(heads, n, m, dim_s, q, kv, p, g, to_p, to_q, to_kv)
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
                for lane in range(min(LANES, rows - first)):
                    products[pair, first + lane] = y[lane]
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
