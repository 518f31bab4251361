"""The trained models laid out like the paper's Table I, and its numbers beside them."""

from collections.abc import Sequence
from typing import Any

from distdnas_hpc.report.grid import Grid
from distdnas_hpc.report.paper import TABLE_1
from distdnas_hpc.report.results import Results
from distdnas_hpc.report.table import comparison, signed

HEADERS = ("Model", "FLOPs (M)", "Params (M)", "NE", "Relative NE (%)", "AUC", "LogLoss")


def table_1(runs: Sequence[Results], *, paper: bool = False) -> list[dict[str, Any]]:
    """Return one row a model: those of the runs, then the paper's.

    Returns
    -------
    list of dicts with run (None for the paper's), model, macs, parameters, ne, relative_ne_percent, auc, logloss; None
    where a number is not defined or a model diverged.
    """
    keys = ("model", "macs", "parameters", "ne", "relative_ne_percent", "auc", "logloss")
    rows = [
        {"run": str(results.run), **{key: row[key] for key in keys}} for results in runs for row in comparison(results)
    ]
    if paper:
        rows += [
            {
                "run": None,
                **row._asdict(),
                "macs": round(row.macs * 1e6),
                "parameters": round(row.parameters * 1e6),
            }
            for row in TABLE_1
        ]
    return rows


def table_1_grid(rows: Sequence[dict[str, Any]]) -> Grid:
    """Return those rows as text; models of several runs are told apart by the run's folder."""
    several = len({row["run"] for row in rows} - {None}) > 1
    cells = []
    for row in rows:
        origin = " (paper)" if row["run"] is None else f" ({row['run']})" if several else ""
        cells.append(
            (
                row["model"] + origin,
                _written(row["macs"], 1e6, ".2f"),
                _written(row["parameters"], 1e6, ",.2f"),
                _written(row["ne"], 1, ".4f"),
                "n/a" if row["relative_ne_percent"] is None else signed(row["relative_ne_percent"]),
                _written(row["auc"], 1, ".4f"),
                _written(row["logloss"], 1, ".5f"),
            )
        )
    return Grid(HEADERS, cells)


def _written(value: float | None, unit: float, how: str) -> str:
    return "n/a" if value is None else format(value / unit, how)
