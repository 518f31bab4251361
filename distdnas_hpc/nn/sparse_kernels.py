"""Compiled kernels of a choice block's sparse side: from its sparse input to its sparse output, 16 rows at a time.

    S = Σ_j q_j · module_j(x),    y = LayerNorm of S and the merged vectors,    machine = factorization machine of S

All that 16 rows need stays in a core's caches; the backward pass computes it again, from x and S. Weights are one flat
array: those of the modules that are kept, in the order of `SPARSE_MODULES`, then those of the norm.
"""

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.nn.encoder_kernels import Work, encode, encode_backward, encoder_weights, set_seeds, work_room
from distdnas_hpc.nn.lane_layers import (
    Array,
    add_scaled,
    clear,
    clear_lanes,
    copy_places,
    linear,
    linear_backward,
    middle_linear,
    middle_linear_backward,
    norm,
    norm_backward,
    relu,
    relu_backward,
    sum_lanes,
)
from distdnas_hpc.nn.lanes import (
    LANES,
    Buffer,
    add,
    add_product,
    everywhere,
    load,
    multiply,
    put,
    room,
    store,
    subtract,
    take,
    zeros,
)

IDENTITY3D, LINEAR3D, TRANSFORMER, EMBED_FC, PMA = range(5)


@compiled
def sparse_forward(
    heads: int,
    kept: NDArray[np.bool_],
    x: Array,
    merged: Array,
    seeds: Array,
    queries: Array,
    w: Array,
    q: Array,
    sums: Array,
    y: Array,
    machine: Array,
) -> None:
    """Write S to `sums` (n, B, d), y (n + merged, B, d) and machine (1, B, d).

    Parameters
    ----------
    kept : (5,), in the order of `SPARSE_MODULES`.
    x : (m, B, d), the sparse input. merged : (1, B, merged·d), what the dense side adds.
    seeds, queries : (n, d) of pma, the seeds and the queries that they make.
    w : see above. q : (5,), the mixing weights.
    """
    (m, rows, d), n = x.shape, len(sums)
    extra = len(y) - n
    begin = _layout(kept, n, m, d)
    of_x, total, projected, vectors = room(m * d), room(n * d), room(n * d), room((n + extra) * d)
    hat, over, of_machine = room((n + extra) * d), room(n + extra), room(d)
    transformer, pma = work_room(n, n, d, heads), work_room(n, m, d, heads)
    set_seeds(seeds, queries, pma)
    for first in range(0, rows, LANES):
        take(x, first, of_x)
        clear(total, n * d)
        for module in range(5):
            if kept[module]:
                out = _module(module, heads, n, m, d, w, begin[module], of_x, projected, transformer, pma)
                add_scaled(total, out, q[module], n * d)
        put(total, first, sums)
        _machine(n, d, total, of_machine)
        put(of_machine, first, machine)
        take(merged, first, vectors[n * d * LANES :])
        copy_places(total, vectors, n * d)
        norm(w, begin[5], n + extra, d, vectors, hat, over)
        put(vectors, first, y)


@compiled
def sparse_backward(
    heads: int,
    kept: NDArray[np.bool_],
    x: Array,
    merged: Array,
    seeds: Array,
    queries: Array,
    w: Array,
    q: Array,
    sums: Array,
    of_y: Array,
    of_machine: Array,
    of_x: Array,
    of_merged: Array,
    of_seeds: Array,
    of_queries: Array,
    of_w: Array,
    of_q: Array,
) -> None:
    """Write the gradients of `sparse_forward`'s inputs from those of y and machine.

    Parameters
    ----------
    of_x : no rows (m, 0, d) where only those of q and merged are asked for.
    of_w : no elements where nobody asks for them.
    """
    (m, rows, d), n = x.shape, len(sums)
    extra, deep = len(of_y) - n, of_x.shape[1] > 0
    begin = _layout(kept, n, m, d)
    x_lanes, to_x, projected, vectors = room(m * d), room(m * d), room(n * d), room((n + extra) * d)
    hat, over, to_machine = room((n + extra) * d), room(n + extra), room(d)
    gradient, to_out, to_projected = room((n + extra) * d), room(n * d), room(n * d)
    to_w, to_q = room(len(of_w)), room(5)
    to_seeds, to_queries = room(seeds.size), room(seeds.size)
    transformer, pma = work_room(n, n, d, heads), work_room(n, m, d, heads)
    set_seeds(seeds, queries, pma)
    for first in range(0, rows, LANES):
        take(x, first, x_lanes)
        take(sums, first, vectors)
        take(merged, first, vectors[n * d * LANES :])
        take(of_y, first, gradient)
        take(of_machine, first, to_machine)
        if first + LANES > rows:
            clear_lanes(gradient, rows - first, (n + extra) * d)
            clear_lanes(to_machine, rows - first, d)

        # y and machine, down to the gradient of S
        norm(w, begin[5], n + extra, d, vectors, hat, over)
        norm_backward(w, begin[5], n + extra, d, hat, over, gradient, to_w)
        put(gradient[n * d * LANES :], first, of_merged)
        take(sums, first, vectors)
        _machine_backward(n, d, vectors, to_machine, gradient)

        # the modules
        clear(to_x, m * d)
        for module in range(5):
            if kept[module]:
                at = begin[module]
                out = _module(module, heads, n, m, d, w, at, x_lanes, projected, transformer, pma)
                _add_inner(n * d, gradient, out, to_q, module)
                if deep:
                    clear(to_out, n * d)
                    add_scaled(to_out, gradient, q[module], n * d)
                    _module_backward(
                        *(module, heads, n, m, d, w, at, x_lanes, projected, transformer, pma),
                        to_out,
                        to_projected,
                        to_x,
                        to_w,
                    )
        if deep:
            put(to_x, first, of_x)
            if kept[PMA]:
                add_scaled(to_seeds, pma.to_a, np.float32(1), n * d)
                add_scaled(to_queries, pma.to_q, np.float32(1), n * d)
    sum_lanes(to_w, of_w)
    sum_lanes(to_q, of_q)
    sum_lanes(to_seeds, of_seeds.reshape(-1))
    sum_lanes(to_queries, of_queries.reshape(-1))


@compiled
def _layout(kept: NDArray[np.bool_], n: int, m: int, d: int) -> NDArray[np.int64]:
    """Return where the weights of each module begin, and those of the norm.

    A module's projection along the middle axis comes first, where m is not n.
    """
    middle = n * (m + 1)
    project = 0 if m == n else middle
    sizes = (
        project,
        project + d * (d + 1),
        project + encoder_weights(d, 6),
        middle,
        encoder_weights(d, 4),
    )
    begin = np.zeros(6, np.int64)
    for module in range(5):
        begin[module + 1] = begin[module] + (sizes[module] if kept[module] else 0)
    return begin


@compiled
def _module(
    module: int,
    heads: int,
    n: int,
    m: int,
    d: int,
    w: Array,
    at: int,
    x: Buffer,
    projected: Buffer,
    transformer: Work,
    pma: Work,
) -> Buffer:
    """Return what a module gives, (n, d), in a buffer of its own."""
    seeded = module == PMA
    if seeded:
        encode(heads, seeded, n, m, d, w, at, x, pma)
        return pma.y
    if m == n and module != EMBED_FC:
        copy_places(x, projected, n * d)
    else:
        middle_linear(w, at, m, n, d, x, projected)
        at += n * (m + 1)
    if module == LINEAR3D:
        linear(w, at, n, d, d, projected, transformer.y)
        relu(transformer.y, n * d)
        return transformer.y
    if module == TRANSFORMER:
        encode(heads, seeded, n, n, d, w, at, projected, transformer)
        return transformer.y
    return projected


@compiled
def _module_backward(
    module: int,
    heads: int,
    n: int,
    m: int,
    d: int,
    w: Array,
    at: int,
    x: Buffer,
    projected: Buffer,
    transformer: Work,
    pma: Work,
    to_out: Buffer,
    to_projected: Buffer,
    to_x: Buffer,
    to_w: Buffer,
) -> None:
    """Add the gradients of x and of the module's weights from that of what it gives, which is used up."""
    seeded = module == PMA
    if seeded:
        encode_backward(heads, seeded, n, m, d, w, at, x, pma, to_out, to_x, to_w)
        return
    inner = at if m == n else at + n * (m + 1)
    to_middle = to_out
    if module in (LINEAR3D, TRANSFORMER):
        clear(to_projected, n * d)
        to_middle = to_projected
    if module == LINEAR3D:
        relu_backward(transformer.y, to_out, n * d)
        linear_backward(w, inner, n, d, d, projected, to_out, to_projected, to_w)
    if module == TRANSFORMER:
        encode_backward(heads, seeded, n, n, d, w, inner, projected, transformer, to_out, to_projected, to_w)
    if m == n and module != EMBED_FC:
        add_scaled(to_x, to_middle, np.float32(1), n * d)
    else:
        middle_linear_backward(w, at, m, n, d, x, to_middle, to_x, to_w)


@compiled
def _machine(n: int, d: int, vectors: Buffer, machine: Buffer) -> None:
    """Write the factorization machine ½[(Σ v)² - Σ v²] (Rendle, 2010, lemma 3.1) of n vectors."""
    half = everywhere(np.float32(0.5))
    for c in range(d):
        total, squares = zeros(), zeros()
        for i in range(c, n * d, d):
            v = load(vectors, i)
            total = add(total, v)
            squares = add_product(squares, v, v)
        store(machine, c, multiply(half, subtract(multiply(total, total), squares)))


@compiled
def _machine_backward(n: int, d: int, vectors: Buffer, to_machine: Buffer, gradient: Buffer) -> None:
    """Add the machine's part to the gradient of the vectors."""
    for c in range(d):
        total, of_machine = zeros(), load(to_machine, c)
        for i in range(c, n * d, d):
            total = add(total, load(vectors, i))
        for i in range(c, n * d, d):
            store(gradient, i, add_product(load(gradient, i), of_machine, subtract(total, load(vectors, i))))


@compiled
def _add_inner(places: int, a: Buffer, b: Buffer, sums: Buffer, at: int) -> None:
    total = load(sums, at)
    for i in range(places):
        total = add_product(total, load(a, i), load(b, i))
    store(sums, at, total)
