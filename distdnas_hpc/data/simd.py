"""Words for numba's kernels that numpy lacks, written in LLVM's own language, which knows them on every processor.

Of 64 bytes of text compared at once, LLVM uses the vector registers that there are.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"
# ruff: noqa: ANN001, ANN202 (LLVM's builders have no types)

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

WIDTH = 64
"""Bytes compared at once."""

_BYTES = ir.VectorType(ir.IntType(8), WIDTH)


@intrinsic
def bytes_equal(context: Any, text: Any, at: Any, byte: Any) -> Any:
    """Return a uint64 whose bit k tells whether text[at + k] == byte, for the 64 bytes from `at` on; all must exist.

    Parameters
    ----------
    text : (bytes,) uint8, contiguous.
    at : uint64.
    byte : a literal integer, 0 to 255.
    """
    if not isinstance(byte, types.IntegerLiteral):
        return None
    wanted = ir.Constant(_BYTES, [byte.literal_value] * WIDTH)

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), _BYTES.as_pointer())
        return builder.bitcast(builder.icmp_unsigned("==", builder.load(place, align=1), wanted), ir.IntType(WIDTH))

    return types.uint64(text, types.uint64, byte), generate


@intrinsic
def lowest_bit(context: Any, word: Any) -> Any:
    """Return the place of the lowest bit that is set in a uint64, 64 where none is."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def bits_set(context: Any, word: Any) -> Any:
    """Return how many bits of a uint64 are set."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def pointer_to(context: Any, address: Any) -> Any:
    """Return the pointer with an address (uint64), for `numba.carray`."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.uint64), generate
