"""Which strategies of search converge, and what they find (paper, Table II), from the files of their runs.

`docs/study.md` says what 'converged' means.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from distdnas_hpc.config import Config, Strategy
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.report.results import Results
from distdnas_hpc.report.study_table import Row
from distdnas_hpc.search.learning import entropy
from distdnas_hpc.storage import read_yaml
from distdnas_hpc.train.candidates import DISTDNAS, TITLES, Candidate, candidates

LAST = 0.1
"""Share of a search's steps, its last, over which its loss is judged."""

WHOLE = "all"
"""Name of the task of a search over all days."""


def strategy_rows(runs: Sequence[Results], *, published: bool = False) -> list[Row]:
    """Return a row for each run and network that it found; one with γ = 0 is distributed DNAS in any case.

    `published` asks for the published models too that runs trained beside.
    """
    rows = []
    for results in runs:
        config, search = results.config, search_converged(results)
        without_gamma = config.strategy == "distdnas" and config.search.gamma == 0
        strategy: Strategy = "distributed" if without_gamma else config.strategy
        gamma = None if strategy in ("distributed", "supernet") else config.search.gamma
        told = [candidate for candidate in candidates(config) if published or candidate.model == DISTDNAS]
        rows += [row_of(results.run, candidate, strategy, gamma, config.seed, search) for candidate in told]
    return rows


def row_of(run: Path, candidate: Candidate, strategy: Strategy, gamma: float | None, seed: int, search: str) -> Row:
    """Return what a run tells of one network, whose search ended as `search` says; it may not be there yet.

    A published model that a study trains beside stands under its own name, without a search.
    """
    path = run / "train" / candidate.task / "result.yaml"
    told = read_yaml(path) if path.is_file() else {}
    found = candidate.model == DISTDNAS
    return Row(
        strategy=strategy if found else candidate.model,
        title=TITLES[strategy] if found else told.get("title", candidate.model),
        gamma=gamma if found else None,
        seed=seed,
        theta=candidate.theta if strategy != "supernet" else None,
        copies=candidate.copies or 1,
        search=search if found else "n/a",
        training=_training_converged(told, search),
        macs=told.get("macs"),
        ne=told.get("ne"),
        ne_standard_error=told.get("ne_standard_error"),
        auc=told.get("auc"),
        run=str(run),
    )


def search_converged(results: Results) -> str:
    """Say whether the searches of a run did: yes, no, diverged, not done; n/a where there is none."""
    config = results.config
    if config.strategy == "supernet":
        return "n/a"
    one = config.strategy == "one_shot"
    tasks = (WHOLE,) if one else tuple(f"day_{day:02d}" for day in config.search.days)
    needed = len(tasks) if one or config.search.min_days is None else config.search.min_days
    folder = results.run / "search"
    done = [task for task in tasks if (folder / task / "result.yaml").is_file()]
    diverged = [task for task in tasks if task not in done and _diverged(folder / task)]
    if len(tasks) - len(diverged) < needed:
        return "diverged"
    if len(done) < needed or results.manifest is None:
        return "not done"
    return "yes" if better_than_constant(results.run, config, done, results.manifest) else "no"


def better_than_constant(run: Path, config: Config, tasks: Iterable[str], manifest: Manifest) -> bool:
    """Whether finished searches ended with less LogLoss than answering the click rate of their days to every row."""
    for task in tasks:
        days = config.search.days if task == WHOLE else (int(task.removeprefix("day_")),)
        clicks, rows = (sum(getattr(manifest.days[day], name) for day in days) for name in ("clicks", "rows"))
        if not last_loss(run / "search" / task / "trajectory.parquet") < entropy(clicks / rows):
            return False
    return True


def last_loss(trajectory: Path) -> float:
    """Return the mean LogLoss of w over the last tenth of a search's steps."""
    table = pq.read_table(trajectory, columns=["step", "loss_w"])
    step, loss = (np.asarray(table[name].to_numpy(), np.float64) for name in ("step", "loss_w"))
    return float(loss[step > (1 - LAST) * step[-1]].mean())


def _training_converged(result: dict[str, Any], search: str) -> str:
    if not result:
        return "n/a" if search == "diverged" else "not done"
    if result["state"] == "diverged":
        return "diverged"
    return "yes" if result["ne"] is not None and result["ne"] < 1 else "no"


def _diverged(folder: Path) -> bool:
    """Whether a task's newest attempt ended so."""
    ends = sorted(folder.glob("attempt_*/ended.yaml"))
    return bool(ends) and read_yaml(ends[-1])["state"] == "diverged"
