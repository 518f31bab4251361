"""Vectors of 16 floats for numba's kernels, written in LLVM's own language: one register of AVX-512, two of AVX2.

A kernel over the rows of a batch takes 16 rows side by side, one in each lane, and its sums stay in registers; numba's
own loops over lanes would load and store them each time. Nothing is reordered, and fused is only what says so, so
results are the same on every machine.

Buffers are flat float32 arrays of places, 16 lanes each.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"
# ruff: noqa: ANN001, ANN002, ANN201, ANN202 (LLVM's builders have no types)

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled

LANES = 16
Buffer = NDArray[np.float32]

FLOATS = ir.VectorType(ir.FloatType(), LANES)
_INTEGERS = ir.VectorType(ir.IntType(32), LANES)

_EXP2 = (0.00132764720, 0.00967554133, 0.0555071327, 0.240221197, 0.693146967, 1.0)
"""Of the polynomial nearest to 2ˣ in |x| ≤ ½, relatively, from x⁵ down; the last is 1.00000007, which is no float32."""


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes")


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, of_type: Any) -> None:
        super().__init__(manager, of_type, FLOATS)


lanes = _LanesType()


def place_of(context, builder, array_type, array, place):
    """Return the address of a place in a buffer."""
    data = context.make_array(array_type)(context, builder, array).data
    first = builder.mul(place, ir.Constant(place.type, LANES))
    return builder.bitcast(builder.gep(data, [first]), FLOATS.as_pointer())


def _all(value: float) -> ir.Constant:
    return ir.Constant(FLOATS, [value] * LANES)


def fused(builder, a, b, summand):
    """Return a · b + summand, rounded once, as IEEE 754 defines it: by one instruction on every processor of today."""
    return _call(builder, "fma", a, b, summand)


def spread(builder, number):
    """Return a number in all lanes."""
    one = builder.insert_element(ir.Constant(FLOATS, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(_INTEGERS, [0] * LANES))


def _call(builder, name, *arguments):
    of_type = ir.FunctionType(FLOATS, [FLOATS] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, of_type, f"llvm.{name}.v{LANES}f32"), arguments)


@intrinsic
def load(context: Any, buffer: Any, place: Any) -> Any:
    """Return the lanes in a place of a buffer."""

    def generate(context, builder, signature, arguments):
        return builder.load(place_of(context, builder, signature.args[0], *arguments), align=4)

    return lanes(buffer, types.intp), generate


@intrinsic
def store(context: Any, buffer: Any, place: Any, x: Any) -> Any:
    """Write lanes to a place of a buffer."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[2], place_of(context, builder, signature.args[0], *arguments[:2]), align=4)
        return context.get_dummy_value()

    return types.void(buffer, types.intp, lanes), generate


@intrinsic
def load_from(context: Any, array: Any, element: Any) -> Any:
    """Return 16 elements of a flat array, from any on."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load(builder.bitcast(builder.gep(data, [arguments[1]]), FLOATS.as_pointer()), align=4)

    return lanes(array, types.intp), generate


@intrinsic
def store_from(context: Any, array: Any, element: Any, x: Any) -> Any:
    """Write lanes to 16 elements of a flat array, from any on."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        builder.store(arguments[2], builder.bitcast(builder.gep(data, [arguments[1]]), FLOATS.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


@intrinsic
def zeros(context: Any) -> Any:
    """Return 0 in all lanes."""

    def generate(context, builder, signature, arguments):
        return _all(0.0)

    return lanes(), generate


@intrinsic
def everywhere(context: Any, value: Any) -> Any:
    """Return a float32 in all lanes."""

    def generate(context, builder, signature, arguments):
        return spread(builder, arguments[0])

    return lanes(types.float32), generate


@intrinsic
def add_product(context: Any, total: Any, a: Any, b: Any) -> Any:
    """Return total + a · b, rounded once."""

    def generate(context, builder, signature, arguments):
        total, a, b = arguments
        return fused(builder, a, b, total)

    return lanes(lanes, lanes, lanes), generate


@intrinsic
def add(context: Any, a: Any, b: Any) -> Any:
    """Return a + b."""

    def generate(context, builder, signature, arguments):
        return builder.fadd(*arguments)

    return lanes(lanes, lanes), generate


@intrinsic
def multiply(context: Any, a: Any, b: Any) -> Any:
    """Return a · b."""

    def generate(context, builder, signature, arguments):
        return builder.fmul(*arguments)

    return lanes(lanes, lanes), generate


@intrinsic
def subtract(context: Any, a: Any, b: Any) -> Any:
    """Return a - b."""

    def generate(context, builder, signature, arguments):
        return builder.fsub(*arguments)

    return lanes(lanes, lanes), generate


@intrinsic
def invert(context: Any, x: Any) -> Any:
    """Return 1 / x."""

    def generate(context, builder, signature, arguments):
        return builder.fdiv(_all(1.0), arguments[0])

    return lanes(lanes), generate


@intrinsic
def root(context: Any, x: Any) -> Any:
    """Return √x."""

    def generate(context, builder, signature, arguments):
        return _call(builder, "sqrt", *arguments)

    return lanes(lanes), generate


@intrinsic
def where_positive(context: Any, x: Any, y: Any) -> Any:
    """Return y in the lanes where x > 0, else 0."""

    def generate(context, builder, signature, arguments):
        x, y = arguments
        return builder.select(builder.fcmp_ordered(">", x, _all(0.0)), y, _all(0.0))

    return lanes(lanes, lanes), generate


@intrinsic
def larger(context: Any, a: Any, b: Any) -> Any:
    """Return the larger of a and b; a where one is nan."""

    def generate(context, builder, signature, arguments):
        a, b = arguments
        return builder.select(builder.fcmp_ordered("<", a, b), b, a)

    return lanes(lanes, lanes), generate


@intrinsic
def exp(context: Any, x: Any) -> Any:
    """Return eˣ for x ≤ 0 within 3e-7, relatively; nan stays.

    2 to the whole part of x/ln 2 by its bits, times the Taylor series of e to the rest, |rest| ≤ ½ ln 2; ln 2 in two
    parts, whose first times a whole number is exact (Cody & Waite, 1980). What is below 2⁻¹²⁶ becomes about that.
    """

    def generate(context, builder, signature, arguments):
        (x,) = arguments
        x = builder.select(builder.fcmp_ordered("<", x, _all(-87.33)), _all(-87.33), x)
        whole = _call(builder, "floor", fused(builder, x, _all(1.4426950408889634), _all(0.5)))
        rest = fused(builder, whole, _all(-0.693359375), x)
        rest = fused(builder, whole, _all(2.12194440e-4), rest)
        series = _all(1 / 720)
        for factor in (1 / 120, 1 / 24, 1 / 6, 0.5, 1.0, 1.0):
            series = fused(builder, series, rest, _all(factor))
        exponent = builder.add(builder.fptosi(whole, _INTEGERS), ir.Constant(_INTEGERS, [127] * LANES))
        power = builder.bitcast(builder.shl(exponent, ir.Constant(_INTEGERS, [23] * LANES)), FLOATS)
        return builder.fmul(series, power)

    return lanes(lanes), generate


@intrinsic
def exp2(context: Any, x: Any) -> Any:
    """Return 2ˣ for x ≤ 0 within 3e-7, relatively; nan stays.

    The nearest whole number comes to lie in the last bits of x + 1.5·2²³, from where it is shifted to be an exponent; a
    polynomial gives 2 to the rest. What is below 2⁻¹²⁶ becomes that.
    """

    def generate(context, builder, signature, arguments):
        (x,) = arguments
        x = builder.select(builder.fcmp_ordered("<", x, _all(-126.0)), _all(-126.0), x)
        magic = _all(1.5 * 2**23 + 127)  # 127 is the exponent of 1
        shifted = builder.fadd(x, magic)
        rest = builder.fsub(x, builder.fsub(shifted, magic))
        series = _all(_EXP2[0])
        for factor in _EXP2[1:]:
            series = fused(builder, series, rest, _all(factor))
        exponent = builder.shl(builder.bitcast(shifted, _INTEGERS), ir.Constant(_INTEGERS, [23] * LANES))
        return builder.fmul(series, builder.bitcast(exponent, FLOATS))

    return lanes(lanes), generate


@intrinsic
def _transpose(context: Any, source: Any, first: Any, step: Any, target: Any, to: Any, to_step: Any) -> Any:
    """Read 16 rows of 16 floats and write their columns: four rounds of exchanging every 1, 2, 4, 8 rows and columns.

    Parameters
    ----------
    source, target : flat arrays.
    first, to : element where the first row or column begins.
    step, to_step : elements from one to the next.
    """

    def generate(context, builder, signature, arguments):
        source, first, step, target, to, to_step = arguments
        places = []
        for of_type, array, begin, distance in (
            (signature.args[0], source, first, step),
            (signature.args[3], target, to, to_step),
        ):
            data = context.make_array(of_type)(context, builder, array).data
            at = [builder.add(begin, builder.mul(distance, ir.Constant(distance.type, k))) for k in range(LANES)]
            places.append([builder.bitcast(builder.gep(data, [k]), FLOATS.as_pointer()) for k in at])
        rows = [builder.load(place, align=4) for place in places[0]]
        for distance in (1, 2, 4, 8):
            low = [k if not k & distance else LANES + k - distance for k in range(LANES)]
            high = [k + distance if not k & distance else LANES + k for k in range(LANES)]
            for k in range(LANES):
                if not k & distance:
                    both = rows[k], rows[k + distance]
                    rows[k], rows[k + distance] = (
                        builder.shuffle_vector(*both, ir.Constant(_INTEGERS, mask)) for mask in (low, high)
                    )
        for row, place in zip(rows, places[1], strict=True):
            builder.store(row, place, align=4)
        return context.get_dummy_value()

    size = types.intp
    return types.void(source, size, size, target, size, size), generate


@compiled
def room(places: int) -> Buffer:
    """Return a buffer of zeros that begins on a cache line."""
    whole = np.zeros((places + 1) * LANES, np.float32)
    skipped = (-whole.ctypes.data % 64) // 4
    return whole[skipped : skipped + places * LANES]


@compiled
def take(source: NDArray[np.float32], first: int, buffer: Buffer) -> None:
    """Copy rows `first` to first + 15, or those that are left, of (vectors, B, width) to places (vectors, width)."""
    vectors, rows, width = source.shape
    flat = source.reshape(-1)
    whole = width - width % LANES if first + LANES <= rows else 0
    for i in range(vectors):
        for c in range(0, whole, LANES):
            _transpose(flat, (i * rows + first) * width + c, width, buffer, (i * width + c) * LANES, LANES)
        for lane in range(min(LANES, rows - first)):
            for c in range(whole, width):
                buffer[(i * width + c) * LANES + lane] = source[i, first + lane, c]


@compiled
def put(buffer: Buffer, first: int, target: NDArray[np.float32]) -> None:
    """Undo `take`."""
    vectors, rows, width = target.shape
    flat = target.reshape(-1)
    whole = width - width % LANES if first + LANES <= rows else 0
    for i in range(vectors):
        for c in range(0, whole, LANES):
            _transpose(buffer, (i * width + c) * LANES, LANES, flat, (i * rows + first) * width + c, width)
        for lane in range(min(LANES, rows - first)):
            for c in range(whole, width):
                target[i, first + lane, c] = buffer[(i * width + c) * LANES + lane]
