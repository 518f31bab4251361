"""Products of small matrices whose elements are lanes (`nn.lanes`): one for each of 16 rows of a batch.

    y[a, b] += Σ_k left[a, k] · right[b, k],    or = where a product does not add

A matrix is a flat array with its first place and the steps to the next row and column, so transposing costs nothing. A
block of y stays in registers while k runs. Sums run over k in order, each product added by one rounding, whatever the
block's size, and so are the same on every machine.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"
# ruff: noqa: ANN001, ANN202 (LLVM's builders have no types)

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.nn.lanes import FLOATS, Buffer, fused, place_of, spread

SIDE = 4 if binding.get_host_cpu_features().get("avx512f") else 2
"""Of a block: its sums, and a row and a column of factors, fit into 32 registers with AVX-512, else 16 half as wide."""

Matrix = tuple[int, int, int]
"""Of a flat array: first place, step to the next row, step to the next column."""


def _load(context, builder, array_type, array, place):
    return builder.load(place_of(context, builder, array_type, array, place), align=4)


def _load_everywhere(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    return spread(builder, builder.load(builder.gep(data, [index])))


def _product(load_left: Callable[..., Any]) -> Callable[..., None]:
    """Return the product for kernels, by how elements of `left` are loaded."""

    def generate(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")  # else every use would be optimised anew, for seconds
        a_count, b_count, count, left, of_left, right, of_right, y, of_y, adds = arguments
        left_type, right_type, y_type = (signature.args[k] for k in (3, 5, 7))
        matrices = [cgutils.unpack_tuple(builder, matrix, 3) for matrix in (of_left, of_right, of_y)]

        def element(matrix, row, column):
            first, row_step, column_step = matrices[matrix]
            return builder.add(first, builder.add(builder.mul(row, row_step), builder.mul(column, column_step)))

        def block(a, b, height, width):
            rows = [builder.add(a, a.type(i)) for i in range(height)]
            columns = [builder.add(b, b.type(j)) for j in range(width)]
            places = [place_of(context, builder, y_type, y, element(2, i, j)) for i in rows for j in columns]
            sums = [cgutils.alloca_once_value(builder, FLOATS(None)) for _ in places]
            with builder.if_then(adds):
                for place, total in zip(places, sums, strict=True):
                    builder.store(builder.load(place, align=4), total)
            with cgutils.for_range(builder, count) as loop:
                lefts = [load_left(context, builder, left_type, left, element(0, i, loop.index)) for i in rows]
                rights = [_load(context, builder, right_type, right, element(1, j, loop.index)) for j in columns]
                for total, (i, j) in zip(sums, ((i, j) for i in lefts for j in rights), strict=True):
                    builder.store(fused(builder, i, j, builder.load(total)), total)
            for place, total in zip(places, sums, strict=True):
                builder.store(builder.load(total), place, align=4)

        def spans(size):
            """Return begin, end and step of whole blocks, and of what is left."""
            zero, one, side = size.type(0), size.type(1), size.type(SIDE)
            whole = builder.sub(size, builder.srem(size, side))
            return (zero, whole, side, SIDE), (whole, size, one, 1)

        for *of_a, height in spans(a_count):
            with cgutils.for_range_slice(builder, *of_a, a_count.type, inc=True) as (a, _):
                for *of_b, width in spans(b_count):
                    with cgutils.for_range_slice(builder, *of_b, b_count.type, inc=True) as (b, _):
                        block(a, b, height, width)
        return context.get_dummy_value()

    @intrinsic
    def product(
        context: Any,
        a: Any,
        b: Any,
        k: Any,
        left: Any,
        of_left: Any,
        right: Any,
        of_right: Any,
        y: Any,
        of_y: Any,
        adds: Any,
    ) -> Any:
        size, matrix = types.intp, types.UniTuple(types.intp, 3)
        return types.void(size, size, size, left, matrix, right, matrix, y, matrix, types.boolean), generate

    return product


_lanes_by_lanes, _weights_by_lanes = _product(_load), _product(_load_everywhere)


@compiled
def matrix(first: int, row: int, column: int) -> Matrix:
    """Return where a matrix lies; casts keep numba from compiling the products anew for every constant."""
    return np.intp(first), np.intp(row), np.intp(column)  # type: ignore[return-value]


@compiled
def lanes_by_lanes(
    a: int,
    b: int,
    k: int,
    left: Buffer,
    of_left: Matrix,
    right: Buffer,
    of_right: Matrix,
    y: Buffer,
    of_y: Matrix,
    adds: bool = True,
) -> None:
    """Add left (a, k) · rightᵀ (k, b) to y (a, b), all of them lanes, or write it there."""
    _lanes_by_lanes(a, b, k, left, of_left, right, of_right, y, of_y, adds)


@compiled
def weights_by_lanes(
    a: int,
    b: int,
    k: int,
    left: NDArray[np.float32],
    of_left: Matrix,
    right: Buffer,
    of_right: Matrix,
    y: Buffer,
    of_y: Matrix,
    adds: bool = True,
) -> None:
    """Add left (a, k) · rightᵀ (k, b) to y (a, b), `left` the same numbers in all lanes, or write it there."""
    _weights_by_lanes(a, b, k, left, of_left, right, of_right, y, of_y, adds)
