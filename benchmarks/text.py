"""Rows as Criteo's text, fast enough for a whole day of it."""

import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.real_rows import real_rows
from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.rows import MISSING, NO_TOKEN

_STEP = 100_000
"""Rows written at a time."""

_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_TAB, _NEWLINE, _MINUS, _ZERO = b"\t\n-0"


def write_text(path: Path, rows: int) -> None:
    """Write real rows (`real_rows`) in Criteo's format."""
    columns = real_rows(rows)
    out = np.empty(_STEP * (2 + 12 * len(columns.dense) + 9 * len(columns.sparse)), np.uint8)
    with path.open("wb") as file:
        for start in range(0, rows, _STEP):
            part = columns.part(start, start + _STEP)
            file.write(out[: _write(part.label, part.dense, part.sparse, out)].data)


def pack(path: Path, packed: Path) -> None:
    """Compress a file as the owners of such logs do: gzip, level 6."""
    with packed.open("wb") as file:
        subprocess.run(["gzip", "-6", "-c", path], stdout=file, check=True)


@compiled
def _write(
    label: NDArray[np.uint8], dense: NDArray[np.int32], sparse: NDArray[np.int64], out: NDArray[np.uint8]
) -> int:
    """Write rows into `out`; return how many bytes they have."""
    at = 0
    digits = np.empty(10, np.uint8)
    for i in range(len(label)):
        out[at] = _ZERO + label[i]
        at += 1
        for j in range(len(dense)):
            out[at] = _TAB
            at += 1
            value = np.int64(dense[j, i])
            if value == MISSING:
                continue
            if value < 0:
                out[at] = _MINUS
                at += 1
                value = -value
            n = 0
            while n == 0 or value > 0:
                digits[n] = _ZERO + value % 10
                value //= 10
                n += 1
            for k in range(n):
                out[at + k] = digits[n - 1 - k]
            at += n
        for j in range(len(sparse)):
            out[at] = _TAB
            at += 1
            token = sparse[j, i]
            if token == NO_TOKEN:
                continue
            for k in range(8):
                out[at + k] = _DIGITS[(token >> (28 - 4 * k)) & 15]
            at += 8
        out[at] = _NEWLINE
        at += 1
    return at
