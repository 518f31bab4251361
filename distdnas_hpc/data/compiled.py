"""How kernels become machine code."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """Compile a function with numba when it is first called.

    It runs without the GIL, beside other threads, and in exact IEEE arithmetic (no fused or reordered operations), so
    its results are the same on every machine. The machine code is kept in numba's cache where a folder for it can be
    written, else compiled anew in every process.
    """
    # Python's error model would check every division, which is slow.
    try:
        dispatcher = numba.njit(nogil=True, error_model="numpy", cache=True)(kernel)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        return cast(Kernel, numba.njit(nogil=True, error_model="numpy")(kernel))
    # numba compiles anew when the function's own file changes. Its code holds what that imports, too.
    index = dispatcher._cache._cache_file
    index._source_stamp = dispatcher.made_of = (index._source_stamp, _imported(kernel.__globals__))
    return cast(Kernel, dispatcher)


def _imported(names: dict[str, Any]) -> str:
    """Return a hash of the numbers among a module's names, and of its functions' times and what they are made of.

    A hash, because kernels made of kernels made of kernels would have a stamp as long as all ways from one to another.
    """
    found: list[tuple[str, Any]] = []
    for name, value in sorted(names.items()):
        if isinstance(value, int | float | np.generic):
            found.append((name, repr(value)))
        elif callable(value):
            path = getattr(sys.modules.get(getattr(value, "__module__", "")), "__file__", None)
            if path is not None:
                found.append((name, (Path(path).stat().st_mtime_ns, getattr(value, "made_of", None))))
    return hashlib.sha256(repr(found).encode()).hexdigest()
