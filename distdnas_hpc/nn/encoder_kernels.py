"""Compiled kernels of an encoder layer (Vaswani et al., 2017), from its input vectors to its output, 16 rows at a time.

    a = LayerNorm(residual + W_o · attention(queries, x)),        y = LayerNorm(a + feed-forward(a))

The transformer attends from x to x; the pooling by seeds from learned seeds to x. All that 16 rows need stays in a
core's caches, and the backward pass computes it again from x: between both passes nothing is kept but x.

Weights are one flat array, `Layout` says where each lies.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.nn.lane_products import lanes_by_lanes, weights_by_lanes
from distdnas_hpc.nn.lanes import (
    LANES,
    Buffer,
    add,
    add_product,
    everywhere,
    exp,
    invert,
    larger,
    load,
    multiply,
    put,
    room,
    root,
    store,
    subtract,
    take,
    where_positive,
    zeros,
)

Array = NDArray[np.float32]

EPSILON = 1e-5
"""Added to a variance, as `torch.nn.LayerNorm` does."""


class Work(NamedTuple):
    """What an encoder computes for 16 rows, in places; n queries, m vectors, d coordinates.

    Attributes
    ----------
    x (m, d); q (n, d); kv (m, 2d), keys before values; p (heads, n, m), probabilities; attended (n, d).
    residual : (n, d), what attention is added to: x or the seeds.
    a, hidden, y : (n, d), see above; hidden is the feed-forward's, after ReLU.
    hat_a, over_a, hat_y, over_y : (n, d) what LayerNorm scales, and (n,) one over its deviation.
    """

    x: Buffer
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


@compiled
def _work(n: int, m: int, d: int, heads: int) -> Work:
    return Work(
        room(m * d),
        room(n * d),
        room(m * 2 * d),
        room(heads * n * m),
        room(n * d),
        room(n * d),
        room(n * d),
        room(n * d),
        room(n * d),
        room(n * d),
        room(n),
        room(n * d),
        room(n),
    )


@compiled
def encoder_forward(heads: int, x: Array, seeds: Array, queries: Array, w: Array, y: Array) -> None:
    """Write y (n, B, d) of x (m, B, d).

    Parameters
    ----------
    seeds, queries : (n, d) of pooling by seeds: the seeds, and the queries that they make; (0, d) of a transformer,
        whose n is m.
    """
    (m, rows, d), n = x.shape, len(y)
    work = _work(n, m, d, heads)
    _set_seeds(seeds, queries, work)
    for first in range(0, rows, LANES):
        take(x, first, work.x)
        _encode(heads, len(seeds) > 0, n, m, d, w, work)
        put(work.y, first, y)


@compiled
def encoder_backward(
    heads: int,
    x: Array,
    seeds: Array,
    queries: Array,
    w: Array,
    gradient: Array,
    of_x: Array,
    of_seeds: Array,
    of_queries: Array,
    of_w: Array,
) -> None:
    """Write the gradients of `encoder_forward`'s inputs from that of y.

    Parameters
    ----------
    of_w : of length 0 where nobody asks for the weights' gradient.
    """
    (m, rows, d), n, seeded = x.shape, len(gradient), len(seeds) > 0
    work = _work(n, m, d, heads)
    _set_seeds(seeds, queries, work)
    to_y, to_a, to_hidden, to_x = room(n * d), room(n * d), room(n * d), room(m * d)
    to_q, to_kv, to_p = room(n * d), room(m * 2 * d), room(n * m)
    to_w = room(len(of_w))
    sum_seeds, sum_queries = room(len(seeds) * d), room(len(seeds) * d)
    kv_at, out_at, norm_a_at, first_at, norm_y_at, query_at, second_at = _layout(d)
    for first in range(0, rows, LANES):
        take(x, first, work.x)
        take(gradient, first, to_y)
        if first + LANES > rows:
            _clear_lanes(to_y, rows - first)
        _encode(heads, seeded, n, m, d, w, work)

        # y = LayerNorm(a + feed-forward(a))
        _norm_backward(w, norm_y_at, n, d, work.hat_y, work.over_y, to_y, to_w)
        to_a[:] = to_y
        if seeded:
            to_hidden[:] = to_y
        else:
            to_hidden[:] = 0
            _linear_backward(w, second_at, n, d, d, work.hidden, to_y, to_hidden, to_w)
        for i in range(n * d):
            store(to_hidden, i, where_positive(load(work.hidden, i), load(to_hidden, i)))
        _linear_backward(w, first_at, n, d, d, work.a, to_hidden, to_a, to_w)

        # a = LayerNorm(residual + W_o · attended)
        _norm_backward(w, norm_a_at, n, d, work.hat_a, work.over_a, to_a, to_w)
        to_y[:] = 0  # from here on the gradient of what was attended
        _linear_backward(w, out_at, n, d, d, work.attended, to_a, to_y, to_w)
        to_q[:] = 0
        to_kv[:] = 0
        attend_backward(heads, n, m, d, work.q, work.kv, work.p, to_y, to_p, to_q, to_kv)

        # queries and residual come from x or from the seeds
        if seeded:
            to_x[:] = 0
            sum_seeds += to_a
            sum_queries += to_q
        else:
            to_x[:] = to_a
            _linear_backward(w, query_at, n, d, d, work.x, to_q, to_x, to_w)
        _linear_backward(w, kv_at, m, d, 2 * d, work.x, to_kv, to_x, to_w)
        put(to_x, first, of_x)
    sum_lanes(to_w, of_w)
    sum_lanes(sum_seeds, of_seeds.reshape(-1))
    sum_lanes(sum_queries, of_queries.reshape(-1))


@compiled
def _layout(d: int) -> tuple[int, int, int, int, int, int, int]:
    """Return where keys and values, output, first norm, feed-forward, second norm begin, then a transformer's own.

    Of each Linear first the weights (out, in), then the biases; of each norm the scales, then the biases.
    """
    linear = d * (d + 1)
    out = 2 * linear
    norm_a = out + linear
    first = norm_a + 2 * d
    norm_y = first + linear
    query = norm_y + 2 * d
    return 0, out, norm_a, first, norm_y, query, query + linear


@compiled
def _set_seeds(seeds: Array, queries: Array, work: Work) -> None:
    for i in range(seeds.size):
        store(work.residual, i, everywhere(seeds.flat[i]))
        store(work.q, i, everywhere(queries.flat[i]))


@compiled
def _encode(heads: int, seeded: bool, n: int, m: int, d: int, w: Array, work: Work) -> None:
    kv_at, out_at, norm_a_at, first_at, norm_y_at, query_at, second_at = _layout(d)
    _linear(w, kv_at, m, d, 2 * d, work.x, work.kv)
    if not seeded:
        _linear(w, query_at, n, d, d, work.x, work.q)
    attend(heads, n, m, d, work.q, work.kv, work.p, work.attended)
    _linear(w, out_at, n, d, d, work.attended, work.a)
    _add_to(work.a, work.residual if seeded else work.x, n * d)
    _norm(w, norm_a_at, n, d, work.a, work.hat_a, work.over_a)
    _linear(w, first_at, n, d, d, work.a, work.hidden)
    for i in range(n * d):
        store(work.hidden, i, larger(load(work.hidden, i), zeros()))
    if seeded:
        work.y[:] = work.hidden
    else:
        _linear(w, second_at, n, d, d, work.hidden, work.y)
    _add_to(work.y, work.a, n * d)
    _norm(w, norm_y_at, n, d, work.y, work.hat_y, work.over_y)


@compiled
def attend(heads: int, n: int, m: int, d: int, q: Buffer, kv: Buffer, p: Buffer, attended: Buffer) -> None:
    """Write softmax(Q Kᵀ / √(d/heads)) to p (heads, n, m), and that times V to `attended` (n, d)."""
    of_head = d // heads
    scale = everywhere(np.float32(1 / np.sqrt(of_head)))
    p[:] = 0
    attended[:] = 0
    for head in range(heads):
        at, begin = head * n * m, head * of_head
        lanes_by_lanes(n, m, of_head, q, (begin, d, 1), kv, (begin, 2 * d, 1), p, (at, m, 1))
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
        lanes_by_lanes(n, of_head, m, p, (at, m, 1), kv, (d + begin, 1, 2 * d), attended, (begin, d, 1))


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
        to_p[:] = 0
        lanes_by_lanes(n, m, of_head, gradient, (begin, d, 1), kv, (d + begin, 2 * d, 1), to_p, (0, m, 1))
        lanes_by_lanes(m, of_head, n, p, (at, 1, m), gradient, (begin, 1, d), to_kv, (d + begin, 2 * d, 1))
        for i in range(0, n * m, m):
            total = zeros()
            for j in range(i, i + m):
                total = add_product(total, load(p, at + j), load(to_p, j))
            for j in range(i, i + m):
                of_score = multiply(multiply(scale, load(p, at + j)), subtract(load(to_p, j), total))
                store(to_p, j, of_score)
        lanes_by_lanes(n, of_head, m, to_p, (0, m, 1), kv, (begin, 1, 2 * d), to_q, (begin, d, 1))
        lanes_by_lanes(m, of_head, n, to_p, (0, 1, m), q, (begin, 1, d), to_kv, (begin, 2 * d, 1))


@compiled
def _linear(w: Array, at: int, count: int, d_in: int, d_out: int, x: Buffer, y: Buffer) -> None:
    bias = at + d_in * d_out
    for o in range(d_out):
        value = everywhere(w[bias + o])
        for v in range(count):
            store(y, v * d_out + o, value)
    weights_by_lanes(d_out, count, d_in, w, (at, d_in, 1), x, (0, d_in, 1), y, (0, 1, d_out))


@compiled
def _linear_backward(
    w: Array, at: int, count: int, d_in: int, d_out: int, x: Buffer, gradient: Buffer, to_x: Buffer, to_w: Buffer
) -> None:
    weights_by_lanes(d_in, count, d_out, w, (at, 1, d_in), gradient, (0, d_out, 1), to_x, (0, 1, d_in))
    if len(to_w):
        lanes_by_lanes(d_out, d_in, count, gradient, (0, 1, d_out), x, (0, 1, d_in), to_w, (at, d_in, 1))
        bias = at + d_in * d_out
        for o in range(d_out):
            total = load(to_w, bias + o)
            for v in range(count):
                total = add(total, load(gradient, v * d_out + o))
            store(to_w, bias + o, total)


@compiled
def _norm(w: Array, at: int, count: int, d: int, y: Buffer, hat: Buffer, over: Buffer) -> None:
    share = everywhere(np.float32(1 / d))
    epsilon = everywhere(np.float32(EPSILON))
    for v in range(count):
        total = zeros()
        for i in range(v * d, v * d + d):
            total = add(total, load(y, i))
        mean, squares = multiply(total, share), zeros()
        for i in range(v * d, v * d + d):
            apart = subtract(load(y, i), mean)
            store(hat, i, apart)
            squares = add_product(squares, apart, apart)
        one_over = invert(root(add_product(epsilon, squares, share)))
        store(over, v, one_over)
        for c in range(d):
            scaled = multiply(load(hat, v * d + c), one_over)
            store(hat, v * d + c, scaled)
            store(y, v * d + c, add_product(everywhere(w[at + d + c]), scaled, everywhere(w[at + c])))


@compiled
def _norm_backward(
    w: Array, at: int, count: int, d: int, hat: Buffer, over: Buffer, gradient: Buffer, to_w: Buffer
) -> None:
    """Turn the gradient of LayerNorm's output into that of its input, in place."""
    share = everywhere(np.float32(1 / d))
    for v in range(count):
        total, along = zeros(), zeros()
        for c in range(d):
            i = v * d + c
            of_y = load(gradient, i)
            if len(to_w):
                store(to_w, at + c, add_product(load(to_w, at + c), of_y, load(hat, i)))
                store(to_w, at + d + c, add(load(to_w, at + d + c), of_y))
            of_hat = multiply(of_y, everywhere(w[at + c]))
            store(gradient, i, of_hat)
            total = add(total, of_hat)
            along = add_product(along, of_hat, load(hat, i))
        total, along, one_over = multiply(total, share), multiply(along, share), load(over, v)
        for i in range(v * d, v * d + d):
            rest = subtract(subtract(load(gradient, i), total), multiply(along, load(hat, i)))
            store(gradient, i, multiply(one_over, rest))


@compiled
def _add_to(y: Buffer, x: Buffer, places: int) -> None:
    for i in range(places):
        store(y, i, add(load(y, i), load(x, i)))


@compiled
def _clear_lanes(buffer: Buffer, used: int) -> None:
    """Set the lanes beyond the batch's last row to 0, so that they add nothing to gradients of weights."""
    for place in range(0, len(buffer), LANES):
        buffer[place + used : place + LANES] = 0


@compiled
def sum_lanes(buffer: Buffer, sums: Array) -> None:
    """Write the sum of the 16 lanes of each place."""
    for place in range(len(buffer) // LANES):
        total = np.float32(0)
        for lane in range(LANES):
            total += buffer[place * LANES + lane]
        sums[place] = total
