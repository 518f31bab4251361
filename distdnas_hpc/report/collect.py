"""The trained models of many runs as one table."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.expense import expense
from distdnas_hpc.report.results import Results
from distdnas_hpc.report.table import comparison
from distdnas_hpc.storage import atomic_write, write_text

FORMATS = (".csv", ".parquet")


def collect(runs: Sequence[Results]) -> list[dict[str, Any]]:
    """Return one row a run and model: where it comes from, what decided it, its scores, what the search took.

    Returns
    -------
    list of dicts of plain values, all with the same keys: run, config (its fingerprint), seed, strategy, days (that
    were searched), gamma, theta and copies (None for baselines), train_rows, train_seconds, test_day, test_rows,
    clicks, search_hours, search_wall_hours, and those of `table.comparison`.
    """
    rows = []
    for results in runs:
        cost, models = expense(results), {model.title: model for model in results.models}
        for scores in comparison(results):
            model = models.get(scores["model"])
            rows.append(
                {
                    "run": str(results.run),
                    "config": results.config.fingerprint(),
                    "seed": results.config.seed,
                    "strategy": results.config.strategy,
                    "days": len(results.found.days) if results.found else None,
                    "gamma": results.config.search.gamma,
                    "theta": model.theta if model else None,
                    "copies": model.copies if model else None,
                    **scores,
                    "train_rows": model.rows if model else None,
                    "train_seconds": model.train_seconds if model else None,
                    "test_day": results.config.train.test_day,
                    "test_rows": model.test_rows if model else None,
                    "clicks": model.clicks if model else None,
                    "search_hours": cost.search_hours if cost else None,
                    "search_wall_hours": cost.wall_hours if cost else None,
                }
            )
    return rows


def write_rows(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write rows of equal keys as CSV or Parquet, by the path's ending, where no file is yet.

    Raises
    ------
    UserError : another ending, or a file of that name is there.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: the name must end in {' or '.join(FORMATS)}, which says how it is written.")
    if path.exists():
        raise UserError(f"{path} is there already and is not overwritten; remove it or choose another name.")
    if path.suffix.lower() == ".parquet":
        with atomic_write(path) as temporary:
            pq.write_table(pa.Table.from_pylist(list(rows)), temporary)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
