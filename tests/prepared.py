"""Small prepared logs for tests: days of tab-separated rows turned into shards by the real stages."""

from pathlib import Path

import numpy as np

from distdnas_hpc.config import Config
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.data.prepare import encode_day, merge_days, parse_day, write_manifest
from distdnas_hpc.progress import Progress

SILENT = Progress(None)


def write_day(path: Path, day: int, *, rows: int = 500, click_rates: tuple[float, float] = (0.1, 0.8)) -> None:
    """Write a day: label; I1 = number of the row in the log; I2, C2 noise; C1 decides the click rate; C3 missing."""
    rng = np.random.default_rng(day)
    token = rng.integers(0, 20, rows)
    click = rng.random(rows) < np.array(click_rates)[token % 2]
    first = (day - 1) * rows
    path.write_text(
        "".join(
            f"{int(click[i])}\t{first + i}\t{rng.integers(50)}\t{token[i]:08x}\t{rng.integers(9):08x}\t\n"
            for i in range(rows)
        )
    )


def prepare(config: Config, folder: Path) -> Manifest:
    """Parse, merge and encode every day of `config` into folder/prepared."""
    days = range(1, config.data.days + 1)
    parsed = {day: folder / f"parsed_{day}" for day in days}
    prepared = folder / "prepared"
    for day, path in parsed.items():
        parse_day(config.data, day, path, prepared, SILENT, training=day in config.train.days)
    merge_days(config.data, config.train.days, parsed, prepared)
    encoded = {day: encode_day(config.data, day, path, prepared, SILENT) for day, path in parsed.items()}
    write_manifest(config.data, encoded, prepared)
    return Manifest.load(prepared)
