"""How fast raw text becomes arrays and shards: `python -m benchmarks.prepare`.

The text is real Criteo rows (see `real_rows`). Text to arrays is measured on one core, beside polars and torchrec; gzip
to finished shards on two, beside isal which only unpacks the same file, and step by step, to see where the time goes.
That is done for as many rows as a day of Criteo's Kaggle release has: what is paid once a day (tables that grow, the
last shard's way to the disk) weighs about as much as it does there.
"""
# ruff: noqa: T201

import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import rmtree
from statistics import median

from isal import igzip

from benchmarks import peers
from benchmarks.account import Account, book_parsing
from benchmarks.claim import claim
from benchmarks.text import pack, write_text
from distdnas_hpc.config import Data
from distdnas_hpc.data.lines import read_lines
from distdnas_hpc.data.prepare import encode_day, merge_days, parse_day, write_manifest
from distdnas_hpc.data.tsv import BLOCK_BYTES, read_day
from distdnas_hpc.progress import Progress

ROWS = 1_000_000
DAY_ROWS = 6_548_659
SHARD_ROWS = 1 << 20
"""A day of so many rows has seven shards; one of Criteo Terabyte has 24 of the default size."""
TORCHREC_ROWS = 50_000
"""Some 20 times slower than polars: a longer file would tell the same."""
ROUNDS = 5


def criteo(raw: Path, **changes: int) -> Data:
    """Configure one day, whose raw file is called `raw` and 0."""
    return Data.model_validate({"schema": "criteo", "raw": f"{raw}{{day}}", "days": 1, **changes})


@contextmanager
def cores(count: int) -> Generator[None, None, None]:
    """Let this thread and those that it starts, and other programs, use so many cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def clock(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(rounds: int, works: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Run works that return seconds in turn, some rounds, and print and return the medians."""
    measured: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            measured[name].append(work())
    for name, times in measured.items():
        print(f"  {name:34} {median(times):8.3f} s ({min(times):.3f} to {max(times):.3f})")
    return {name: median(times) for name, times in measured.items()}


def exhaust(items: Iterable[object]) -> None:
    """Take all items and keep none."""
    for _ in items:
        pass


def unpack(path: Path) -> None:
    """Unpack a gzip file with isal and nothing else."""
    with igzip.open(path) as file:  # type: ignore[no-untyped-call]
        while file.read(1 << 20):
            pass


def text_to_arrays(folder: Path) -> None:
    """Parse plain text on one core, beside polars and torchrec; all rows are kept in memory."""
    data = criteo(folder / "day_")
    next(iter(read_day(data, 1)))  # compiles the parser, or loads it
    polars = peers.install("polars", ["polars==2.1.0"])
    with cores(1):
        print(f"text to arrays on one core, {ROWS:,} rows:")
        times = medians(
            ROUNDS,
            {
                "this package": lambda: clock(lambda: list(read_day(data, 1))),
                "polars, in-memory engine": lambda: peers.seconds(polars, "with_polars", data.raw_file(1), "in-memory"),
                "polars, streaming engine": lambda: peers.seconds(polars, "with_polars", data.raw_file(1), "streaming"),
            },
        )
    rate = ROWS / times["this package"] / 1e6
    claim("text to arrays on one core", rate, "M rows/s", 2, rate >= 2)
    ratio = min(seconds for name, seconds in times.items() if "polars" in name) / times["this package"]
    claim("text to arrays on one core, against polars", ratio, "x", 5, ratio >= 5)
    against_torchrec(folder, rate)


def against_torchrec(folder: Path, rate: float) -> None:
    """Compare with a rate in million rows a second."""
    name = "text to arrays on one core, against torchrec's tsv_to_npys"
    short = folder / "short"
    write_text(short, TORCHREC_ROWS)
    try:
        # These versions go with torch 2.13; without their dependencies, which ask for a fbgemm-gpu that needs CUDA.
        torchrec = peers.install(
            "torchrec",
            ["--no-deps", "torchrec==1.8.0", "fbgemm-gpu-cpu==1.8.0"],
            ["iopath", "pyre-extensions", "tensordict", "torchmetrics==1.0.3", "tqdm"],
        )
        with cores(1):
            print(f"torchrec, {TORCHREC_ROWS:,} rows:")
            times = medians(3, {"torchrec": lambda: peers.seconds(torchrec, "with_torchrec", short, folder)})
    except peers.PeerUnavailableError as reason:
        claim(f"{name} (not measured: {reason})", None, "x", 50, None)
        return
    ratio = rate * 1e6 * times["torchrec"] / TORCHREC_ROWS
    claim(name, ratio, "x", 50, ratio >= 50)


def gzip_to_shards(folder: Path) -> None:
    """Prepare a gzipped day on two cores."""
    write_text(folder / "whole_0", DAY_ROWS)
    pack(folder / "whole_0", folder / "day_packed_0")
    size = (folder / "whole_0").stat().st_size / 1e6
    (folder / "whole_0").unlink()
    data = criteo(folder / "day_packed_", shard_rows=SHARD_ROWS)
    path, nowhere = data.raw_file(1), Progress(None)
    parsed, prepared = folder / "parsed", folder / "prepared"
    encoded: dict[int, dict[str, object]] = {}

    def parse() -> None:
        rmtree(prepared, ignore_errors=True)
        parse_day(data, 1, parsed, prepared, nowhere)

    def encode() -> None:
        encoded[1] = encode_day(data, 1, parsed, prepared, nowhere)

    steps: dict[str, Callable[[], object]] = {
        "parse_day": parse,
        "merge_days": lambda: merge_days(data, [1], {1: parsed}, prepared),
        "encode_day": encode,
        "write_manifest": lambda: write_manifest(data, encoded, prepared),
    }
    parts: dict[str, Callable[[], object]] = {
        "isal alone": lambda: unpack(path),
        "text in whole lines": lambda: exhaust(read_lines(path, BLOCK_BYTES)),
        "parsed rows": lambda: exhaust(read_day(data, 1)),
    }
    for step in steps.values():  # compiles
        step()
    with cores(2):
        print(f"gzip to shards on two cores, {DAY_ROWS:,} rows:")
        times = medians(ROUNDS, {name: partial(clock, work) for name, work in (parts | steps).items()})
        start = time.process_time()
        for step in steps.values():
            step()
        busy = time.process_time() - start
    whole = sum(times[step] for step in steps)
    print(
        f"  all steps {whole:.2f} s ({busy:.2f} s of processors' time), {DAY_ROWS / whole / 1e6:.2f} M rows/s; "
        f"isal {size / times['isal alone']:.0f} MB/s"
    )
    account = Account()
    with account.step("unpacked (isal alone)"):
        unpack(path)
    rows = book_parsing(account, data, folder)
    for name in ("merge_days", "encode_day"):
        with account.step(name, time.process_time):
            steps[name]()
    print("processors' time, step by step:")
    account.show(rows, data.schema_.sparse)
    ratio = times["isal alone"] / whole
    claim("gzip to finished shards on two cores, against isal alone unpacking", 100 * ratio, "%", 80, ratio >= 0.8)


def peak_megabytes(folder: Path, name: str) -> float:
    """Prepare a day and return the most memory that this process ever had."""
    # The tables of distinct tokens are full in both days.
    data = criteo(folder / name, max_rows=20_000)
    parsed, prepared = folder / f"{name}parsed", folder / f"{name}prepared"
    parse_day(data, 1, parsed, prepared, Progress(None))
    merge_days(data, [1], {1: parsed}, prepared)
    encode_day(data, 1, parsed, prepared, Progress(None))
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def memory(folder: Path) -> None:
    """Compare the peak memory of preparing a day and one of four times its length."""
    peaks = []
    for name in ("packed_", "long_"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peaks.append(pool.apply(peak_megabytes, (folder, name)))
    print(f"peak memory: {peaks[0]:.0f} MB for a day of {ROWS:,} rows, {peaks[1]:.0f} MB for one of {4 * ROWS:,}")
    grown = peaks[1] - peaks[0]
    claim("memory that preparing a day of four times the length adds", grown, "MB", 16, grown <= 16)


def main() -> None:
    """Measure, and print the claims."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_text(folder / "day_0", ROWS)
        pack(folder / "day_0", folder / "packed_0")
        (folder / "long_0").write_bytes(4 * (folder / "packed_0").read_bytes())
        text_to_arrays(folder)
        gzip_to_shards(folder)
        memory(folder)


if __name__ == "__main__":
    main()
