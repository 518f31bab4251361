"""An encoder layer (Vaswani et al., 2017) on the vectors of 16 rows that lie side by side in `nn.lanes`.

    a = LayerNorm(residual + W_o · attention(queries, x)),        y = LayerNorm(a + feed-forward(a))

The transformer attends from x to x; the pooling by seeds from learned seeds to x.
"""

from typing import NamedTuple

import numpy as np

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.nn.lane_layers import (
    Array,
    add_scaled,
    clear,
    copy_places,
    linear,
    linear_backward,
    norm,
    norm_backward,
    relu,
    relu_backward,
)
from distdnas_hpc.nn.lane_products import lanes_by_lanes, matrix
from distdnas_hpc.nn.lanes import (
    Buffer,
    add,
    add_product,
    everywhere,
    exp,
    invert,
    larger,
    load,
    multiply,
    room,
    store,
    subtract,
    zeros,
)


class Work(NamedTuple):
    """What an encoder computes for 16 rows, in places; n queries, m vectors, d coordinates.

    Attributes
    ----------
    q (n, d); kv (m, 2d), keys before values; p (heads, n, m), probabilities; attended (n, d).
    residual : (n, d), what attention is added to: x or the seeds.
    a, hidden, y : (n, d), see above; hidden is the feed-forward's, after ReLU.
    hat_a, over_a, hat_y, over_y : (n, d) what LayerNorm scales, and (n,) one over its deviation.
    to_a, to_hidden, to_q, to_kv, to_p : gradients; the last of one head.
    """

    q: Buffer
    kv: Buffer
    p: Buffer
    attended: Buffer
    residual: Buffer
    a: Buffer
    hidden: Buffer
    y: Buffer
    hat_a: Buffer
    over_a: Buffer
    hat_y: Buffer
    over_y: Buffer
    to_a: Buffer
    to_hidden: Buffer
    to_q: Buffer
    to_kv: Buffer
    to_p: Buffer


@compiled
def work_room(n: int, m: int, d: int, heads: int) -> Work:
    """Return room for `encode` and `encode_backward`."""
    nd, md = n * d, m * d
    q, kv, p, attended, residual, a = room(nd), room(2 * md), room(heads * n * m), room(nd), room(nd), room(nd)
    hidden, y, hat_a, over_a, hat_y, over_y = room(nd), room(nd), room(nd), room(n), room(nd), room(n)
    to = room(nd), room(nd), room(nd), room(2 * md), room(n * m)
    return Work(q, kv, p, attended, residual, a, hidden, y, hat_a, over_a, hat_y, over_y, *to)


@compiled
def encoder_weights(d: int, squares: int) -> int:
    """Return how many weights an encoder has, see `_layout`: 6 square matrices, or 4 with seeds, and two norms."""
    return squares * d * (d + 1) + 4 * d


@compiled
def _layout(at: int, d: int) -> tuple[int, int, int, int, int, int, int]:
    """Return where keys and values, output, first norm, feed-forward, second norm begin, then a transformer's own.

    These are queries and the second Linear of the feed-forward.
    """
    linear_size = d * (d + 1)
    out = at + 2 * linear_size
    norm_a = out + linear_size
    first = norm_a + 2 * d
    norm_y = first + linear_size
    query = norm_y + 2 * d
    return at, out, norm_a, first, norm_y, query, query + linear_size


@compiled
def set_seeds(seeds: Array, queries: Array, work: Work) -> None:
    """Let seeds and the queries that they make, (n, d) each, be those of all rows."""
    for v in range(seeds.shape[0]):
        for c in range(seeds.shape[1]):
            store(work.residual, v * seeds.shape[1] + c, everywhere(seeds[v, c]))
            store(work.q, v * seeds.shape[1] + c, everywhere(queries[v, c]))


@compiled
def encode(heads: int, seeded: bool, n: int, m: int, d: int, w: Array, at: int, x: Buffer, work: Work) -> None:
    """Write work.y of x (m, d); of a transformer n is m."""
    kv_at, out_at, norm_a_at, first_at, norm_y_at, query_at, second_at = _layout(at, d)
    one = np.float32(1)
    linear(w, kv_at, m, d, 2 * d, x, work.kv)
    if not seeded:
        linear(w, query_at, n, d, d, x, work.q)
        copy_places(x, work.residual, n * d)
    attend(heads, n, m, d, work.q, work.kv, work.p, work.attended)
    linear(w, out_at, n, d, d, work.attended, work.a)
    add_scaled(work.a, work.residual, one, n * d)
    norm(w, norm_a_at, n, d, work.a, work.hat_a, work.over_a)
    linear(w, first_at, n, d, d, work.a, work.hidden)
    relu(work.hidden, n * d)
    if seeded:
        copy_places(work.hidden, work.y, n * d)
    else:
        linear(w, second_at, n, d, d, work.hidden, work.y)
    add_scaled(work.y, work.a, one, n * d)
    norm(w, norm_y_at, n, d, work.y, work.hat_y, work.over_y)


@compiled
def encode_backward(
    heads: int,
    seeded: bool,
    n: int,
    m: int,
    d: int,
    w: Array,
    at: int,
    x: Buffer,
    work: Work,
    to_y: Buffer,
    to_x: Buffer,
    to_w: Buffer,
) -> None:
    """Add the gradients of x and weights from that of y, `to_y`, which is used up; `encode` has run.

    Of seeds, work.to_a is the gradient of what attention is added to, and work.to_q that of the queries.
    """
    kv_at, out_at, norm_a_at, first_at, norm_y_at, query_at, second_at = _layout(at, d)
    # y = LayerNorm(a + feed-forward(a))
    norm_backward(w, norm_y_at, n, d, work.hat_y, work.over_y, to_y, to_w)
    copy_places(to_y, work.to_a, n * d)
    if seeded:
        copy_places(to_y, work.to_hidden, n * d)
    else:
        clear(work.to_hidden, n * d)
        linear_backward(w, second_at, n, d, d, work.hidden, to_y, work.to_hidden, to_w)
    relu_backward(work.hidden, work.to_hidden, n * d)
    linear_backward(w, first_at, n, d, d, work.a, work.to_hidden, work.to_a, to_w)

    # a = LayerNorm(residual + W_o · attended)
    norm_backward(w, norm_a_at, n, d, work.hat_a, work.over_a, work.to_a, to_w)
    clear(to_y, n * d)  # from here on the gradient of what was attended
    linear_backward(w, out_at, n, d, d, work.attended, work.to_a, to_y, to_w)
    clear(work.to_q, n * d)
    clear(work.to_kv, 2 * m * d)
    attend_backward(heads, n, m, d, work.q, work.kv, work.p, to_y, work.to_p, work.to_q, work.to_kv)

    # queries and residual come from x or from the seeds
    if not seeded:
        add_scaled(to_x, work.to_a, np.float32(1), n * d)
        linear_backward(w, query_at, n, d, d, x, work.to_q, to_x, to_w)
    linear_backward(w, kv_at, m, d, 2 * d, x, work.to_kv, to_x, to_w)


@compiled
def attend(heads: int, n: int, m: int, d: int, q: Buffer, kv: Buffer, p: Buffer, attended: Buffer) -> None:
    """Write softmax(Q Kᵀ / √(d/heads)) to p (heads, n, m), and that times V to `attended` (n, d)."""
    of_head = d // heads
    scale = everywhere(np.float32(1 / np.sqrt(of_head)))
    for head in range(heads):
        at, begin = head * n * m, head * of_head
        query, key, value = matrix(begin, d, 1), matrix(begin, 2 * d, 1), matrix(d + begin, 1, 2 * d)
        own = matrix(at, m, 1)
        lanes_by_lanes(n, m, of_head, q, query, kv, key, p, own, adds=False)
        for i in range(at, at + n * m, m):
            highest = load(p, i)
            for j in range(i + 1, i + m):
                highest = larger(highest, load(p, j))
            total = zeros()
            for j in range(i, i + m):
                power = exp(multiply(scale, subtract(load(p, j), highest)))
                store(p, j, power)
                total = add(total, power)
            share = invert(total)
            for j in range(i, i + m):
                store(p, j, multiply(load(p, j), share))
        lanes_by_lanes(n, of_head, m, p, own, kv, value, attended, query, adds=False)


@compiled
def attend_backward(
    heads: int,
    n: int,
    m: int,
    d: int,
    q: Buffer,
    kv: Buffer,
    p: Buffer,
    gradient: Buffer,
    to_p: Buffer,
    to_q: Buffer,
    to_kv: Buffer,
) -> None:
    """Add the gradients of Q and of K and V from that of `attended`; `to_p` (n, m) is room to work."""
    of_head = d // heads
    scale = everywhere(np.float32(1 / np.sqrt(of_head)))
    for head in range(heads):
        at, begin = head * n * m, head * of_head
        own, value = matrix(begin, d, 1), matrix(d + begin, 2 * d, 1)
        lanes_by_lanes(n, m, of_head, gradient, own, kv, value, to_p, matrix(0, m, 1), adds=False)
        lanes_by_lanes(m, of_head, n, p, matrix(at, 1, m), gradient, matrix(begin, 1, d), to_kv, value)
        for i in range(0, n * m, m):
            total = zeros()
            for j in range(i, i + m):
                total = add_product(total, load(p, at + j), load(to_p, j))
            for j in range(i, i + m):
                of_score = multiply(multiply(scale, load(p, at + j)), subtract(load(to_p, j), total))
                store(to_p, j, of_score)
        lanes_by_lanes(n, of_head, m, to_p, matrix(0, m, 1), kv, matrix(begin, 1, 2 * d), to_q, matrix(begin, d, 1))
        lanes_by_lanes(m, of_head, n, to_p, matrix(0, 1, m), q, matrix(begin, 1, d), to_kv, matrix(begin, 2 * d, 1))
