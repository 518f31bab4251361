"""Which strategies of search converge, and what they find (paper, Table II); from the files of their runs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from distdnas_hpc.report.grid import Grid
from distdnas_hpc.report.results import Results
from distdnas_hpc.storage import read_yaml
from distdnas_hpc.train.candidates import candidates

LAST = 0.1
"""Share of a search's steps, its last, over which its loss is judged."""

NAMES = {
    "distdnas": "DistDNAS",
    "distributed": "Distributed DNAS",
    "one_shot": "One-shot DNAS",
    "fresh": "Fresh DNAS",
    "supernet": "SuperNet",
}
HEADERS = ("Strategy", "Search converges?", "Training converges?", "γ", "Seed", "θ", "M", "FLOPs (M)", "NE", "AUC")


def strategy_rows(runs: Sequence[Results]) -> list[dict[str, Any]]:
    """Return one row a run and discovered network.

    A search converged where no loss diverged and each task's LogLoss over the last tenth of its steps was below the
    entropy of its days' click rate (NE < 1); a training where its loss did not diverge and NE on the test day is below
    1: better than answering the same to every row.

    Returns
    -------
    list of dicts with run, strategy, gamma, seed, theta, copies, search and training (yes, no, diverged or not done;
    n/a for the search of the supernet, which has none), macs, ne, auc; None where there is no number.
    """
    rows = []
    for results in runs:
        config, strategy, search = results.config, strategy_of(results), search_converged(results)
        for candidate in candidates(config):
            if candidate.theta is None:
                continue
            path = results.run / "train" / candidate.task / "result.yaml"
            told = read_yaml(path) if path.is_file() else {}
            rows.append(
                {
                    "run": str(results.run),
                    "strategy": NAMES[strategy],
                    "gamma": None if strategy == "supernet" else config.search.gamma,
                    "seed": config.seed,
                    "theta": None if strategy == "supernet" else candidate.theta,
                    "copies": candidate.copies,
                    "search": search,
                    "training": training_converged(told),
                    **{name: told.get(name) for name in ("macs", "ne", "auc")},
                }
            )
    return rows


def strategy_grid(rows: Sequence[dict[str, Any]]) -> Grid:
    """Return those rows as text."""
    cells = [
        (
            row["strategy"],
            row["search"],
            row["training"],
            *(_written(row[name], "g") for name in ("gamma", "seed", "theta", "copies")),
            "n/a" if row["macs"] is None else f"{row['macs'] / 1e6:.3f}",
            *(_written(row[name], ".4f") for name in ("ne", "auc")),
        )
        for row in rows
    ]
    return Grid(HEADERS, cells, left=HEADERS[1:3])


def strategy_of(results: Results) -> str:
    """Return how a run searches; one with γ = 0 is distributed DNAS, whatever its config calls it."""
    named = getattr(results.config, "strategy", "distdnas")
    return "distributed" if named == "distdnas" and results.config.search.gamma == 0 else named


def search_converged(results: Results) -> str:
    """Say whether every search of a run ended better than a constant would: yes, no, diverged, not done, n/a."""
    strategy, days = strategy_of(results), results.config.search.days
    if strategy == "supernet":
        return "n/a"
    tasks = {"all": days} if strategy == "one_shot" else {f"day_{day:02d}": (day,) for day in days}
    folders = {results.run / "search" / task: of_task for task, of_task in tasks.items()}
    if any(_diverged(folder) for folder in folders):
        return "diverged"
    done = {folder: of_task for folder, of_task in folders.items() if (folder / "result.yaml").is_file()}
    if len(done) < (results.config.search.min_days or len(tasks)) or results.manifest is None:
        return "not done"
    for folder, of_task in done.items():
        of_days = [results.manifest.days[day] for day in of_task]
        rate = sum(day.clicks for day in of_days) / sum(day.rows for day in of_days)
        if not last_loss(folder / "trajectory.parquet") < entropy(rate):
            return "no"
    return "yes"


def training_converged(result: dict[str, Any]) -> str:
    """Say the same of a training by its result, empty if there is none: yes, no, diverged, not done."""
    if not result:
        return "not done"
    if result["state"] == "diverged":
        return "diverged"
    return "yes" if result["ne"] is not None and result["ne"] < 1 else "no"


def last_loss(trajectory: Path) -> float:
    """Return the mean LogLoss of w over the last tenth of a search's steps."""
    table = pq.read_table(trajectory, columns=["step", "loss_w"])
    step, loss = (np.asarray(table[name].to_numpy(), np.float64) for name in ("step", "loss_w"))
    return float(loss[step > (1 - LAST) * step[-1]].mean())


def entropy(rate: float) -> float:
    """Return the LogLoss, in nats, of answering `rate`, the share of clicks, to every row."""
    return -sum(p * math.log(p) for p in (rate, 1 - rate) if p > 0)


def _diverged(folder: Path) -> bool:
    """Whether a task's newest attempt ended so, and none has a result."""
    ends = sorted(folder.glob("attempt_*/ended.yaml"))
    return bool(ends) and not (folder / "result.yaml").is_file() and read_yaml(ends[-1])["state"] == "diverged"


def _written(value: float | None, how: str) -> str:
    return "n/a" if value is None else format(value, how)
