"""Compiled kernels of AutoInt's interacting layers, 16 rows of a batch side by side in the lanes of `nn.lanes`.

    q, k, v, r = W e,    y = ReLU(r + Σ_j 2^(q·k_j) v_j / Σ_j 2^(q·k_j)), in each head

Vectors do not leave a core's caches between layers, nor a head's scores its first one: the backward pass keeps the
layers' inputs, and goes from these to the scores and back to the gradients, head by head. A layer's W is (4d, d): the
weights of queries, times log₂ e and what scores are scaled by, of keys, of values and of the residual.
"""

from typing import NamedTuple

import numpy as np

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.nn.lane_layers import Array, clear_lanes, sum_lanes
from distdnas_hpc.nn.lane_products import lanes_by_lanes, matrix, weights_by_lanes
from distdnas_hpc.nn.lanes import (
    LANES,
    Buffer,
    add,
    add_product,
    everywhere,
    exp2,
    invert,
    larger,
    load,
    multiply,
    put,
    room,
    store,
    subtract,
    take,
    where_positive,
    zeros,
)

LOG_2 = 0.6931471805599453


class Work(NamedTuple):
    """What a layer computes for 16 rows, in places; n vectors, d coordinates.

    Attributes
    ----------
    made : (n, `_step`), q, k, v and r of each vector.
    powers, shares, attended : (n, n) powers of 2, (n,) one over their sums, and (n, d/heads) what they attend to, not
        yet times shares; of one head.
    to_made, to_attended, to_scores : gradients; of a head's `attended` (n, d/heads), and of its scores (n, n).
    """

    made: Buffer
    powers: Buffer
    shares: Buffer
    attended: Buffer
    to_made: Buffer
    to_attended: Buffer
    to_scores: Buffer


@compiled
def _work_room(heads: int, n: int, d: int) -> Work:
    made, of_head = n * _step(d), n * (d // heads)
    return Work(room(made), room(n * n), room(n), room(of_head), room(made), room(of_head), room(n * n))


@compiled
def _step(d: int) -> int:
    """Return the places from one vector's q, k, v, r to the next: a power of 2 would have all share few cache lines."""
    return 4 * d + 1


@compiled
def interacting_forward(heads: int, x: Array, w: Array, inputs: Array, y: Array) -> None:
    """Write y of x, both (n, B, d), through all layers.

    Parameters
    ----------
    w : (layers, 4d, d), see above.
    inputs : (B/16 rounded up, layers, n·d, 16), to which the layers' inputs are written for `interacting_backward`, or
        (1, …) where nobody needs them.
    """
    (n, rows, d), layers, size = x.shape, len(w), x.shape[0] * x.shape[2] * LANES
    work, out = _work_room(heads, n, d), room(n * d)
    for first in range(0, rows, LANES):
        vectors = inputs[first // LANES % len(inputs)].reshape(-1)
        take(x, first, vectors)
        if first + LANES > rows:
            clear_lanes(vectors, rows - first, n * d)
        for layer in range(layers):
            to = vectors[(layer + 1) * size :] if layer + 1 < layers else out
            _layer(heads, n, d, w[layer].reshape(-1), vectors[layer * size :], work, to)
        put(out, first, y)


@compiled
def interacting_backward(heads: int, w: Array, inputs: Array, of_y: Array, of_x: Array, of_w: Array) -> None:
    """Write the gradients of x and w from that of y; of_w has no elements where nobody asks for them."""
    (n, rows, d), layers, size = of_y.shape, len(w), of_y.shape[0] * of_y.shape[2] * LANES
    work, gradient, to_w = _work_room(heads, n, d), room(n * d), room(of_w.size)
    for first in range(0, rows, LANES):
        vectors = inputs[first // LANES].reshape(-1)
        take(of_y, first, gradient)
        if first + LANES > rows:
            clear_lanes(gradient, rows - first, n * d)
        for layer in range(layers - 1, -1, -1):
            to_own = to_w[layer * w[0].size * LANES :]
            _layer_backward(heads, n, d, w[layer].reshape(-1), vectors[layer * size :], work, gradient, to_own)
        put(gradient, first, of_x)
    sum_lanes(to_w, of_w.reshape(-1))


@compiled
def _layer(heads: int, n: int, d: int, w: Array, x: Buffer, work: Work, y: Buffer) -> None:
    """Write y (n, d) of x (n, d)."""
    of_head = d // heads
    _project(n, d, w, x, work)
    for head in range(heads):
        _attend(n, d, head * of_head, of_head, work)
        for i in range(n):
            share = load(work.shares, i)
            for c in range(of_head):
                at = head * of_head + c
                residual, attended = load(work.made, i * _step(d) + 3 * d + at), load(work.attended, i * of_head + c)
                store(y, i * d + at, larger(add_product(residual, share, attended), zeros()))


@compiled
def _project(n: int, d: int, w: Array, x: Buffer, work: Work) -> None:
    to = matrix(0, 1, _step(d))
    weights_by_lanes(4 * d, n, d, w, matrix(0, d, 1), x, matrix(0, d, 1), work.made, to, adds=False)


@compiled
def _attend(n: int, d: int, begin: int, of_head: int, work: Work) -> None:
    """Write powers, shares and attended of the head whose coordinates begin there."""
    made, powers, step = work.made, work.powers, _step(d)
    q, k, v = matrix(begin, step, 1), matrix(d + begin, step, 1), matrix(2 * d + begin, 1, step)
    square = matrix(0, n, 1)
    lanes_by_lanes(n, n, of_head, made, q, made, k, powers, square, adds=False)
    for i in range(n):
        highest = load(powers, i * n)
        for j in range(i * n + 1, i * n + n):
            highest = larger(highest, load(powers, j))
        total = zeros()
        for j in range(i * n, i * n + n):
            power = exp2(subtract(load(powers, j), highest))
            store(powers, j, power)
            total = add(total, power)
        store(work.shares, i, invert(total))
    lanes_by_lanes(n, of_head, n, powers, square, made, v, work.attended, matrix(0, of_head, 1), adds=False)


@compiled
def _layer_backward(
    heads: int, n: int, d: int, w: Array, x: Buffer, work: Work, gradient: Buffer, to_w: Buffer
) -> None:
    """Turn the gradient of y into that of x, and add that of w."""
    of_head, step = d // heads, _step(d)
    _project(n, d, w, x, work)
    for head in range(heads):
        _attend(n, d, head * of_head, of_head, work)
        _attend_backward(n, d, head * of_head, of_head, work, gradient)
    to_made = work.to_made
    if len(to_w) > 0:
        lanes_by_lanes(4 * d, d, n, to_made, matrix(0, 1, step), x, matrix(0, 1, d), to_w, matrix(0, d, 1))
    of_x = matrix(0, 1, d)
    weights_by_lanes(d, n, 4 * d, w, matrix(0, 1, d), to_made, matrix(0, step, 1), gradient, of_x, adds=False)


@compiled
def _attend_backward(n: int, d: int, begin: int, of_head: int, work: Work, gradient: Buffer) -> None:
    """Write the gradients of the head's q, k, v and r from that of y; `_attend` has run."""
    made, to_made, powers, to_scores, step = work.made, work.to_made, work.powers, work.to_scores, _step(d)
    for i in range(n):
        share, along = load(work.shares, i), zeros()
        for c in range(of_head):
            at, attended = i * step + 3 * d + begin + c, load(work.attended, i * of_head + c)
            y = add_product(load(made, at), share, attended)
            of_y = where_positive(y, load(gradient, i * d + begin + c))
            store(to_made, at, of_y)
            of_attended = multiply(share, of_y)
            store(work.to_attended, i * of_head + c, of_attended)
            along = add_product(along, of_attended, attended)
        store(work.shares, i, multiply(along, share))  # from here on what softmax subtracts, Σ_j p_j · (its gradient)

    q, k, v = matrix(begin, 1, step), matrix(d + begin, 1, step), matrix(2 * d + begin, step, 1)
    square, across = matrix(0, n, 1), matrix(0, 1, n)
    lanes_by_lanes(n, n, of_head, work.to_attended, matrix(0, of_head, 1), made, v, to_scores, square, adds=False)
    lanes_by_lanes(n, of_head, n, powers, across, work.to_attended, matrix(0, 1, of_head), to_made, v, adds=False)
    log_2 = everywhere(np.float32(LOG_2))
    for i in range(n):
        mean = load(work.shares, i)
        for j in range(i * n, i * n + n):
            store(to_scores, j, multiply(multiply(log_2, load(powers, j)), subtract(load(to_scores, j), mean)))
    of_q, of_k = matrix(begin, step, 1), matrix(d + begin, step, 1)
    lanes_by_lanes(n, of_head, n, to_scores, square, made, k, to_made, of_q, adds=False)
    lanes_by_lanes(n, of_head, n, to_scores, across, made, q, to_made, of_k, adds=False)
