"""Peak memory of preparing a log with Criteo Terabyte's cardinalities, against the model in docs/data.md.

    python -m benchmarks.memory [ROWS]

One day of 6 million rows: enough that the five largest columns meet more values than a table holds, which is all that
memory depends on. Tokens are drawn evenly from each column's values, the worst case for so many rows.
"""
# ruff: noqa: T201

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.claim import claim
from distdnas_hpc.config import Data
from distdnas_hpc.data.counting import MERGED_TOKENS
from distdnas_hpc.data.criteo_terabyte import CARDINALITIES
from distdnas_hpc.data.dictionary import RUN_TOKENS

MAX_ROWS = 5_000_000
SHARD_ROWS = 8_388_608
BUFFERS = 200_000_000
"""Libraries, compiled code, blocks of text and rows on their way."""

STEP = """if True:
    import re, sys
    from pathlib import Path
    from distdnas_hpc.data.prepare import encode_day, merge_days, parse_day
    from distdnas_hpc.progress import Progress
    from benchmarks.memory import data_of
    step, folder, overflow = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    data, parsed, prepared = data_of(folder, overflow), folder / f"parsed_{overflow}", folder / f"prepared_{overflow}"
    if step == "parse":
        parse_day(data, 1, parsed, prepared, Progress(None))
    elif step == "merge":
        merge_days(data, [1], {1: parsed}, prepared)
    elif step == "encode":
        encode_day(data, 1, parsed, prepared, Progress(None))
    print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def data_of(folder: Path, overflow: str) -> Data:
    """Return the data config of the benchmark."""
    tree = {"schema": "criteo", "raw": f"{folder}/day_{{day}}", "days": 1, "max_rows": MAX_ROWS, "overflow": overflow}
    return Data.model_validate(tree)


def write_log(path: Path, rows: int) -> None:
    """Write rows of one digit each in the dense columns, and evenly drawn tokens."""
    rng = np.random.default_rng(1)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    with path.open("wb") as file:
        for start in range(0, rows, 100_000):
            n = min(100_000, rows - start)
            text = np.full((n, 14 * 2 + 26 * 9), ord("\t"), np.uint8)
            text[:, :28:2] = digits[rng.integers(0, 2, (n, 14))]
            for j, values in enumerate(CARDINALITIES):
                token = (rng.integers(0, values, n) * 2654435761 % 2**32).astype(np.uint32)  # one to one
                for k in range(8):
                    text[:, 28 + 9 * j + k] = digits[(token >> (28 - 4 * k)) & 15]
            text[:, -1] = ord("\n")
            file.write(text.tobytes())


def peak(step: str, folder: Path, overflow: str) -> int:
    """Run a step in a process of its own; return its peak of memory in bytes."""
    # A fixed threshold keeps glibc from fragmenting its heap, which looks like growth but is not.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "262144"}
    command = [sys.executable, "-c", STEP, step, str(folder), overflow]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return 1024 * int(done.stdout)


def dictionary_bytes(tokens: int) -> int:
    """Return the size of a dictionary of so many tokens: 8 bytes a slot, no more than 3 of 4 taken, and 8 a token."""
    slots = 1024
    while slots * 3 // 4 < tokens:
        slots *= 2
    return 8 * slots + 8 * min(slots * 3 // 4, RUN_TOKENS)


def model(step: str, overflow: str, distinct: Iterable[int]) -> int:
    """Return the bytes that docs/data.md promises for columns with so many distinct values in a day."""
    distinct = list(distinct)
    counted = overflow == "frequent"
    capped = [min(tokens, RUN_TOKENS) for tokens in distinct]
    if step == "parse":
        # Beside the dictionaries one that grows, and the tokens that are new in a shard; then lists and their counts.
        new = sum(8 * min(tokens, SHARD_ROWS) for tokens in distinct)
        return (
            sum(map(dictionary_bytes, capped)) + dictionary_bytes(max(capped)) // 2 + new + counted * 16 * sum(capped)
        )
    if step == "merge":
        return 40 * (MERGED_TOKENS + 2 * MAX_ROWS) + 8 * sum(capped)  # more than 40 bytes a token of two columns
    kept = [tokens if counted or tokens < RUN_TOKENS else 0 for tokens in capped]
    return sum(8 * tokens for tokens in kept) + 40 * sum(sorted(capped)[-2:])


def main() -> None:
    """Measure and print the claims."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 6_000_000
    met = True
    largest = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_log(folder / "day_0", rows)
        start = peak("none", folder, "hash")
        seen = [int(values * -np.expm1(-rows / values)) for values in CARDINALITIES]
        for overflow in ("hash", "frequent"):
            for step in ("parse", "merge", "encode"):
                found, bound = peak(step, folder, overflow), start + BUFFERS + model(step, overflow, seen)
                print(f"{overflow:9} {step:7} peak {found / 1e6:7.0f} MB   model {bound / 1e6:7.0f} MB")
                met &= found <= bound
                largest = max(largest, found)
        full = max(
            start + BUFFERS + model(step, overflow, CARDINALITIES)
            for overflow in ("hash", "frequent")
            for step in ("parse", "merge", "encode")
        )
    gib = 2**30
    claim("largest peak of a step, none above the model of docs/data.md", largest / gib, "GiB", 6.0, met)
    claim("largest peak for Criteo Terabyte by that model", full / gib, "GiB", 6.0, full <= 6 * gib)


if __name__ == "__main__":
    main()
