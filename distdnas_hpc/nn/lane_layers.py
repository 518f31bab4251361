"""Layers on the vectors of 16 rows that lie side by side in `nn.lanes`: what they give, and their gradients.

A layer's weights lie in a flat array from `at` on: of a Linear the matrix (out, in) and the biases, of a LayerNorm the
scales and the biases. Gradients of inputs are added to `to_x`; those of weights to `to_w`, which has the lanes of
every weight, and length 0 where nobody asks for them.
"""

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.nn.lane_products import lanes_by_lanes, matrix, weights_by_lanes
from distdnas_hpc.nn.lanes import (
    LANES,
    Buffer,
    add,
    add_product,
    everywhere,
    invert,
    larger,
    load,
    multiply,
    root,
    store,
    subtract,
    where_positive,
    zeros,
)

Array = NDArray[np.float32]

EPSILON = 1e-5
"""Added to a variance, as `torch.nn.LayerNorm` does."""


@compiled
def linear(w: Array, at: int, count: int, d_in: int, d_out: int, x: Buffer, y: Buffer) -> None:
    """Write y (count, d_out) of x (count, d_in)."""
    bias = at + d_in * d_out
    for o in range(d_out):
        value = everywhere(w[bias + o])
        for v in range(count):
            store(y, v * d_out + o, value)
    weights_by_lanes(d_out, count, d_in, w, matrix(at, d_in, 1), x, matrix(0, d_in, 1), y, matrix(0, 1, d_out))


@compiled
def linear_backward(
    w: Array, at: int, count: int, d_in: int, d_out: int, x: Buffer, gradient: Buffer, to_x: Buffer, to_w: Buffer
) -> None:
    """Add the gradients of x and of the weights from that of y."""
    weights_by_lanes(
        d_in, count, d_out, w, matrix(at, 1, d_in), gradient, matrix(0, d_out, 1), to_x, matrix(0, 1, d_in)
    )
    if len(to_w) > 0:
        lanes_by_lanes(
            d_out, d_in, count, gradient, matrix(0, 1, d_out), x, matrix(0, 1, d_in), to_w, matrix(at, d_in, 1)
        )
        _add_sums(d_out, count, gradient, 1, d_out, to_w, at + d_in * d_out)


@compiled
def middle_linear(w: Array, at: int, v_in: int, v_out: int, d: int, x: Buffer, y: Buffer) -> None:
    """Write y (v_out, d) of x (v_in, d), each coordinate alike."""
    bias = at + v_in * v_out
    for o in range(v_out):
        value = everywhere(w[bias + o])
        for i in range(o * d, o * d + d):
            store(y, i, value)
    weights_by_lanes(v_out, d, v_in, w, matrix(at, v_in, 1), x, matrix(0, 1, d), y, matrix(0, d, 1))


@compiled
def middle_linear_backward(
    w: Array, at: int, v_in: int, v_out: int, d: int, x: Buffer, gradient: Buffer, to_x: Buffer, to_w: Buffer
) -> None:
    """Add the gradients of x and of the weights from that of y."""
    weights_by_lanes(v_in, d, v_out, w, matrix(at, 1, v_in), gradient, matrix(0, 1, d), to_x, matrix(0, d, 1))
    if len(to_w) > 0:
        lanes_by_lanes(v_out, v_in, d, gradient, matrix(0, d, 1), x, matrix(0, d, 1), to_w, matrix(at, v_in, 1))
        _add_sums(v_out, d, gradient, d, 1, to_w, at + v_in * v_out)


@compiled
def _add_sums(count: int, terms: int, gradient: Buffer, step: int, of_term: int, to_w: Buffer, at: int) -> None:
    for o in range(count):
        total = load(to_w, at + o)
        for v in range(terms):
            total = add(total, load(gradient, o * step + v * of_term))
        store(to_w, at + o, total)


@compiled
def relu(y: Buffer, places: int) -> None:
    """Set what is negative to 0; nan stays."""
    for i in range(places):
        store(y, i, larger(load(y, i), zeros()))


@compiled
def relu_backward(y: Buffer, gradient: Buffer, places: int) -> None:
    """Set the gradient to 0 where the output y is."""
    for i in range(places):
        store(gradient, i, where_positive(load(y, i), load(gradient, i)))


@compiled
def norm(w: Array, at: int, count: int, d: int, y: Buffer, hat: Buffer, over: Buffer) -> None:
    """Turn y (count, d) into its LayerNorm; `hat` is what that scales, `over` (count,) one over the deviations."""
    share, epsilon = everywhere(np.float32(1 / d)), everywhere(np.float32(EPSILON))
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
def norm_backward(
    w: Array, at: int, count: int, d: int, hat: Buffer, over: Buffer, gradient: Buffer, to_w: Buffer
) -> None:
    """Turn the gradient of LayerNorm's output into that of its input, in place."""
    share = everywhere(np.float32(1 / d))
    for v in range(count):
        total, along = zeros(), zeros()
        for c in range(d):
            i = v * d + c
            of_y = load(gradient, i)
            if len(to_w) > 0:
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
def copy_places(source: Buffer, target: Buffer, places: int) -> None:
    """Copy the first places."""
    for i in range(places):
        store(target, i, load(source, i))


@compiled
def clear(buffer: Buffer, places: int) -> None:
    """Set the first places to 0."""
    for i in range(places):
        store(buffer, i, zeros())


@compiled
def add_scaled(y: Buffer, x: Buffer, factor: np.float32, places: int) -> None:
    """Add factor · x to y."""
    times = everywhere(factor)
    for i in range(places):
        store(y, i, add_product(load(y, i), times, load(x, i)))


@compiled
def clear_lanes(buffer: Buffer, used: int, places: int) -> None:
    """Set the lanes from `used` on to 0, those beyond the last row: they add nothing to gradients of weights."""
    for place in range(places):
        for lane in range(used, LANES):
            buffer[place * LANES + lane] = 0


@compiled
def sum_lanes(buffer: Buffer, sums: Array) -> None:
    """Write the sum of the 16 lanes of each place."""
    for place in range(len(sums)):
        total = np.float32(0)
        for lane in range(LANES):
            total += buffer[place * LANES + lane]
        sums[place] = total
