"""How kernels become machine code."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """Compile a function with numba when it is first called.

    It runs without the GIL, beside other threads, and in exact IEEE arithmetic (no fused or reordered operations), so
    its results are the same on every machine. The machine code is kept in numba's cache where a folder for it can be
    written, else compiled anew in every process.
    """
    # Python's error model would check every division, which is slow.
    try:
        return cast(Kernel, numba.njit(nogil=True, error_model="numpy", cache=True)(kernel))
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        return cast(Kernel, numba.njit(nogil=True, error_model="numpy")(kernel))
