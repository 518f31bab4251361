"""Compiled kernels of a supernet block's dense side: what is no large product of matrices.

Its modules' Linears on the block's dense input are one wide product: (B, 3·dim_d + d), columns of identity, linear, pin
and dot_product, d being dim_s. The kernels read and write them where they lie.
"""

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.nn.lane_layers import (
    Array,
    clear,
    clear_lanes,
    middle_linear,
    middle_linear_backward,
    sum_lanes,
)
from distdnas_hpc.nn.lane_products import lanes_by_lanes, matrix
from distdnas_hpc.nn.lanes import (
    LANES,
    Buffer,
    add_product,
    everywhere,
    larger,
    load,
    load_from,
    multiply,
    put,
    room,
    store,
    store_from,
    take,
    where_positive,
    zeros,
)

ROWS = 4
"""Of the pairs' matrix, computed at a time as far as its lower triangle reaches."""


@compiled
def dot_product_forward(x: Array, wide: Array, w: Array, products: Array) -> None:
    """Write the inner products of all pairs among the dense vector and the sparse ones, mapped to k.

    Parameters
    ----------
    x : (m, B, d), the sparse input.
    wide : (B, …), the dense vector is its last d columns.
    w : of a Linear along the middle axis from m to k vectors, weights and biases.
    products : (1, B, (k+1)·k/2), the strict lower triangle, row by row.
    """
    m, rows, d = x.shape
    k = len(w) // (m + 1)
    of_x, vectors, square, pairs = room(m * d), room((k + 1) * d), room((k + 1) ** 2), room(products.shape[2])
    for first in range(0, rows, LANES):
        _vectors(x, wide, w, first, k, of_x, vectors)
        clear(square, (k + 1) ** 2)
        for i in range(0, k + 1, ROWS):
            last = min(i + ROWS, k + 1)
            to = matrix(i * (k + 1), k + 1, 1)
            lanes_by_lanes(last - i, last, d, vectors, matrix(i * d, d, 1), vectors, matrix(0, d, 1), square, to)
        for i in range(1, k + 1):
            for j in range(i):
                store(pairs, i * (i - 1) // 2 + j, load(square, i * (k + 1) + j))
        put(pairs, first, products)


@compiled
def dot_product_backward(
    x: Array, wide: Array, w: Array, of_products: Array, of_x: Array, of_wide: Array, of_w: Array
) -> None:
    """Write the gradients of x, of the last d columns of `wide` and of w from those of the products.

    Parameters
    ----------
    of_w : of length 0 where nobody asks for it.
    """
    m, rows, d = x.shape
    k = len(w) // (m + 1)
    x_lanes, to_x, vectors, to_vectors = room(m * d), room(m * d), room((k + 1) * d), room((k + 1) * d)
    square, pairs, to_w = room((k + 1) ** 2), room(of_products.shape[2]), room(len(of_w))
    begin = wide.shape[1] - d
    for first in range(0, rows, LANES):
        _vectors(x, wide, w, first, k, x_lanes, vectors)
        take(of_products, first, pairs)
        if first + LANES > rows:
            clear_lanes(pairs, rows - first, of_products.shape[2])
        for i in range(1, k + 1):
            for j in range(i):
                pair = load(pairs, i * (i - 1) // 2 + j)
                store(square, i * (k + 1) + j, pair)
                store(square, j * (k + 1) + i, pair)
        clear(to_vectors, (k + 1) * d)
        to = matrix(0, d, 1)
        lanes_by_lanes(k + 1, d, k + 1, square, matrix(0, k + 1, 1), vectors, matrix(0, 1, d), to_vectors, to)
        for lane in range(min(LANES, rows - first)):
            for c in range(d):
                of_wide[first + lane, begin + c] = to_vectors[c * LANES + lane]
        clear(to_x, m * d)
        middle_linear_backward(w, 0, m, k, d, x_lanes, to_vectors[d * LANES :], to_x, to_w)
        put(to_x, first, of_x)
    sum_lanes(to_w, of_w)


@compiled
def _vectors(x: Array, wide: Array, w: Array, first: int, k: int, of_x: Buffer, vectors: Buffer) -> None:
    m, rows, d = x.shape
    begin = wide.shape[1] - d
    take(x, first, of_x)
    for lane in range(min(LANES, rows - first)):
        for c in range(d):
            vectors[c * LANES + lane] = wide[first + lane, begin + c]
    middle_linear(w, 0, m, k, d, of_x, vectors[d * LANES :])


@compiled
def mix_forward(
    p: Array, wide: Array, dot: Array, left: Array, right: Array, gate: Array, polynomial: Array, total: Array
) -> None:
    """Write Σ_j p_j · module_j from their products: all (B, dim_d), a multiple of 16, but `wide`.

    identity + ReLU(linear) + dot + (left ⊙ gate + right) + pin ⊙ (polynomial + 1), each with its p.
    """
    rows, dim_d = total.shape
    p_0, p_1, p_2, p_3, p_4 = _everywhere(p)
    of_wide, of_dot, of_left, of_right = wide.reshape(-1), dot.reshape(-1), left.reshape(-1), right.reshape(-1)
    of_gate, of_polynomial, to = gate.reshape(-1), polynomial.reshape(-1), total.reshape(-1)
    for row in range(rows):
        at = row * wide.shape[1]
        for i in range(row * dim_d, (row + 1) * dim_d, LANES):
            y = multiply(p_0, load_from(of_wide, at))
            y = add_product(y, p_1, larger(load_from(of_wide, at + dim_d), zeros()))
            y = add_product(y, p_2, load_from(of_dot, i))
            crossed = add_product(load_from(of_right, i), load_from(of_left, i), load_from(of_gate, i))
            pin = load_from(of_wide, at + 2 * dim_d)
            y = add_product(y, p_3, crossed)
            y = add_product(y, p_4, add_product(pin, pin, load_from(of_polynomial, i)))
            store_from(to, i, y)
            at += LANES


@compiled
def mix_backward(
    p: Array,
    wide: Array,
    dot: Array,
    left: Array,
    right: Array,
    gate: Array,
    polynomial: Array,
    of_total: Array,
    of_p: Array,
    of_wide: Array,
    of_left: Array,
    of_right: Array,
    of_gate: Array,
    of_polynomial: Array,
) -> None:
    """Write the gradients of `mix_forward`'s inputs, but that of `dot`, which is p_2 times that of the total."""
    rows, dim_d = of_total.shape
    p_0, p_1, _, p_3, p_4 = _everywhere(p)
    wide_, dot_, left_, right_ = wide.reshape(-1), dot.reshape(-1), left.reshape(-1), right.reshape(-1)
    gate_, polynomial_, total_ = gate.reshape(-1), polynomial.reshape(-1), of_total.reshape(-1)
    to_wide, to_left, to_right = of_wide.reshape(-1), of_left.reshape(-1), of_right.reshape(-1)
    to_gate, to_polynomial = of_gate.reshape(-1), of_polynomial.reshape(-1)
    s_0, s_1, s_2, s_3, s_4 = zeros(), zeros(), zeros(), zeros(), zeros()
    for row in range(rows):
        at = row * wide.shape[1]
        for i in range(row * dim_d, (row + 1) * dim_d, LANES):
            g = load_from(total_, i)
            s_0 = add_product(s_0, g, load_from(wide_, at))
            store_from(to_wide, at, multiply(p_0, g))

            positive = larger(load_from(wide_, at + dim_d), zeros())
            s_1 = add_product(s_1, g, positive)
            store_from(to_wide, at + dim_d, where_positive(positive, multiply(p_1, g)))

            s_2 = add_product(s_2, g, load_from(dot_, i))

            of_left_i, of_gate_i, g_3 = load_from(left_, i), load_from(gate_, i), multiply(p_3, g)
            s_3 = add_product(s_3, g, add_product(load_from(right_, i), of_left_i, of_gate_i))
            store_from(to_right, i, g_3)
            store_from(to_left, i, multiply(g_3, of_gate_i))
            store_from(to_gate, i, multiply(g_3, of_left_i))

            pin, of_pin, g_4 = load_from(wide_, at + 2 * dim_d), load_from(polynomial_, i), multiply(p_4, g)
            s_4 = add_product(s_4, g, add_product(pin, pin, of_pin))
            store_from(to_wide, at + 2 * dim_d, add_product(g_4, g_4, of_pin))
            store_from(to_polynomial, i, multiply(g_4, pin))
            at += LANES
    sums = room(5)
    store(sums, 0, s_0)
    store(sums, 1, s_1)
    store(sums, 2, s_2)
    store(sums, 3, s_3)
    store(sums, 4, s_4)
    sum_lanes(sums, of_p)


@compiled
def _everywhere(p: Array) -> tuple:  # type: ignore[type-arg]
    return everywhere(p[0]), everywhere(p[1]), everywhere(p[2]), everywhere(p[3]), everywhere(p[4])
