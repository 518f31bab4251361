"""Planted days as raw text, as Criteo publishes its log, each with what is true about it in a YAML file beside."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from isal import igzip

from distdnas_hpc.config import Config, Planted
from distdnas_hpc.data.bayes import BayesOptimum
from distdnas_hpc.data.planted import PlantedRows, Truth
from distdnas_hpc.data.rows import MISSING
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from distdnas_hpc.storage import atomic_write, read_yaml, remove_leftovers, write_yaml

_BLOCK = 1 << 15
"""Rows made at a time."""

_TEXT = pa.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")


def write_planted_days(config: Config, progress: Progress) -> list[dict[str, Any]]:
    """Write the days that are not there, as `data.raw` and `planted` say, and return what is true about each.

    Each day appears whole or not at all, and after its truth; equal configs give equal bytes, whichever days are there.

    Raises
    ------
    UserError : the config has no `planted`; files are there that were not written from the same `planted`, which are
        left alone; the disk is full.
    """
    if config.planted is None:
        raise UserError(
            "The config says nothing of planted days; add the section 'planted', as in configs/planted_products.yaml."
        )
    days = range(1, config.data.days + 1)
    there = {day: _truth_there(config, day) for day in days}  # refuses before anything is written
    truths = []
    for day in days:
        truths.append(there[day] or _write_day(config, config.planted, day, progress))
        progress.update(day / len(days))
    return truths


def truth_file(raw: Path) -> Path:
    """Return the path of what is true about a planted day's raw file."""
    return raw.with_name(f"{raw.name}.truth.yaml")


def _truth_there(config: Config, day: int) -> dict[str, Any] | None:
    raw = config.data.raw_file(day)
    if not raw.exists():
        return None
    if not truth_file(raw).exists():
        raise UserError(
            f"{raw} is there, without a {truth_file(raw).name} that says how it was planted; move it away, or let "
            "data.raw name another folder."
        )
    truth = read_yaml(truth_file(raw))
    if (truth.get("day"), truth.get("planted")) != (day, _identity(config)):
        raise UserError(
            f"{raw} was planted from other settings; let data.raw name another folder, or remove the planted days "
            "there."
        )
    return truth


def _identity(config: Config) -> dict[str, Any]:
    """Return what decides a day's bytes."""
    assert config.planted is not None
    schema = config.data.schema_
    return {**config.planted.model_dump(mode="json"), "dense": schema.dense, "sparse": schema.sparse}


def _write_day(config: Config, plant: Planted, day: int, progress: Progress) -> dict[str, Any]:
    dense, sparse = config.data.schema_.dense, config.data.schema_.sparse
    truth, optimum = Truth(plant, dense, sparse, day), BayesOptimum()
    rng = np.random.default_rng([plant.seed, day])
    tokens = [_token_texts(column, plant.tokens) for column in range(sparse)]
    raw = config.data.raw_file(day)
    raw.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(raw.parent, raw.name)  # of this day and its truth: the folder is the user's
    clicks = 0
    with atomic_write(raw) as temporary:
        with _open_text(temporary, packed=raw.suffix == ".gz") as file:
            for first in range(0, plant.rows, _BLOCK):
                rows = truth.draw(min(_BLOCK, plant.rows - first), rng)
                p = truth.probability(rows)
                label = rng.random(len(p)) < p
                pa.csv.write_csv(_as_table(label, rows, tokens), file, _TEXT)
                optimum.add(p)
                clicks += int(label.sum())
                progress.update((day - 1 + (first + len(p)) / plant.rows) / config.data.days)
        found = {"day": day, "rows": plant.rows, "clicks": clicks, "bayes": dict(optimum.scores())}
        found["planted"] = _identity(config)
        write_yaml(truth_file(raw), found)  # before the day appears, so that a day which is there has its truth
    return found


@contextmanager
def _open_text(path: Path, *, packed: bool) -> Iterator[Any]:
    with path.open("wb") as file:
        if not packed:
            yield file
            return
        # Neither time nor name in its header, so that equal days have equal bytes.
        with igzip.IGzipFile("", "wb", fileobj=file, mtime=0) as packing:  # type: ignore[no-untyped-call]
            yield packing


def _as_table(label: Any, rows: PlantedRows, tokens: list[pa.Array]) -> pa.Table:
    columns = [pa.array(label.astype(np.uint8))]
    columns += [pa.array(column, mask=column == MISSING) for column in rows.dense]
    columns += [
        texts.take(pa.array(column - 1, mask=column == 0)) for texts, column in zip(tokens, rows.tokens, strict=True)
    ]
    return pa.table(columns, [str(j) for j in range(len(columns))])


def _token_texts(column: int, count: int) -> pa.Array:
    """Return distinct tokens of 8 hexadecimal digits, as a hash would give them: odd multiples modulo 2³²."""
    k = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(column << 24)
    return pa.array([f"{value:08x}" for value in (k * np.uint64(0x9E3779B1)) % np.uint64(1 << 32)])
