"""Read what a run wrote; parts that are not there are None or absent, parts that are damaged are named."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from distdnas_hpc.config import Config, load_config
from distdnas_hpc.data.manifest import MANIFEST, Manifest
from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.report.differences import DIFFERENCES, read_differences
from distdnas_hpc.report.parts import METRICS, Array, Cost, Found, LossCurve, Searched, TaskTime, TrainedModel
from distdnas_hpc.report.words import days_in_words
from distdnas_hpc.storage import read_yaml
from distdnas_hpc.train.candidates import Candidate, architecture_file, candidates
from distdnas_hpc.train.scores import Difference


@dataclass(frozen=True)
class Results:
    """Everything a report tells of a run.

    Attributes
    ----------
    models : the trained ones, DistDNAS by θ and M first, then the baselines as the config names them.
    diverged : titles of models whose training diverged, and why.
    days : the searched ones, by number; empty where days aren't searched one by one.
    whole : the search of all days in one task, where the strategy is that and it is done.
    missing_days, missing_models : that the config asks for and that have no result.
    tasks : the finished ones, in order of their start.
    environment : versions and host as recorded when the run began; empty if they were not.
    """

    run: Path
    config: Config
    models: tuple[TrainedModel, ...]
    diverged: dict[str, str]
    missing_models: tuple[str, ...]
    cost: Cost | None
    days: dict[int, Searched]
    whole: Searched | None
    missing_days: tuple[int, ...]
    found: Found | None
    manifest: Manifest | None
    tasks: tuple[TaskTime, ...]
    environment: dict[str, Any]

    @property
    def searches(self) -> tuple[Searched, ...]:
        """What the search's tasks did, by day, or the single task over all."""
        return tuple(self.days[day] for day in sorted(self.days)) if self.whole is None else (self.whole,)

    def model(self, model: str) -> TrainedModel | None:
        """Return the first trained one of 'distdnas', or a baseline; None if it is not there."""
        return next((trained for trained in self.models if trained.model == model), None)


def read_results(run: Path) -> Results:
    """Read a run folder.

    Raises
    ------
    UserError : not a run folder, or a file in it is damaged (its path is named).
    """
    if not (run / "config.yaml").is_file():
        raise UserError(f"{run} is not a run folder (no config.yaml in it); give the folder of an earlier run.")
    config = load_config(run / "config.yaml")
    models, diverged, missing_models = [], {}, []
    differences = _read_differences(run / "report" / "all")
    for candidate in candidates(config):
        folder = run / "train" / candidate.task
        if not _is_done(folder):
            missing_models.append(candidate.task)
        elif (result := read_yaml(folder / "result.yaml")).get("state") == "diverged":
            diverged[str(result["title"])] = str(result["reason"])
        else:
            models.append(_read_model(candidate, folder, result, differences.get(candidate.task)))
    days = config.search.days
    one_by_one = config.strategy not in ("one_shot", "supernet")
    folders = {day: run / "search" / f"day_{day:02d}" for day in days} if one_by_one else {}
    whole = run / "search" / "all"
    in_one = config.strategy == "one_shot" and _is_done(whole)
    mean = run / "aggregate" / "all"
    averaged = _is_done(mean) and (mean / "aggregate.yaml").is_file()  # of the supernet there is no mean
    made = config.prepared or run
    environment = run / "environment.yaml"
    return Results(
        run=run,
        config=config,
        models=tuple(models),
        diverged=diverged,
        missing_models=tuple(missing_models),
        cost=read_cost(made / "cost" / "all") if _is_done(made / "cost" / "all") else None,
        days={day: _read_search((day,), folder) for day, folder in folders.items() if _is_done(folder)},
        whole=_read_search(days, whole) if in_one else None,
        missing_days=tuple(day for day, folder in folders.items() if not _is_done(folder)),
        found=_read_found(mean, config.search.theta) if averaged else None,
        manifest=Manifest.load(made / "prepared") if (made / "prepared" / MANIFEST).is_file() else None,
        tasks=_read_tasks(run),
        environment=read_yaml(environment) if environment.is_file() else {},
    )


def _is_done(folder: Path) -> bool:
    return (folder / "result.yaml").is_file()


def _read_model(
    candidate: Candidate, folder: Path, content: dict[str, Any], difference: Difference | None
) -> TrainedModel:
    with _naming(folder / "result.yaml"):
        return TrainedModel(
            name=candidate.task,
            model=candidate.model,
            theta=candidate.theta,
            copies=candidate.copies,
            title=str(content["title"]),
            macs=int(content["macs"]),
            interaction_parameters=int(content["interaction_parameters"]),
            embedding_parameters=int(content["embedding_parameters"]),
            rows=int(content["rows"]),
            train_seconds=float(content["train_seconds"]),
            rows_per_second=float(content["rows_per_second"]),
            test_day=int(content["test_day"]),
            test_rows=int(content["test_rows"]),
            clicks=int(content["clicks"]),
            **{metric: _number(content[metric]) for metric in METRICS},
            curve=_read_curve(folder / "trajectory.parquet"),
            difference=difference,
        )


def _read_differences(folder: Path) -> dict[str, Difference]:
    with _naming(folder / DIFFERENCES):
        return read_differences(folder)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _read_curve(path: Path) -> LossCurve | None:
    if not path.is_file():
        return None
    with _naming(path):
        table = pq.read_table(path)
        return LossCurve(*(np.asarray(table[name].to_numpy(), np.float64) for name in ("step", "day", "loss")))


def read_cost(folder: Path) -> Cost:
    """Read what the cost task of a run left in its folder.

    Raises
    ------
    UserError : its result is missing or damaged.
    """
    path = folder / "result.yaml"
    content = read_yaml(path)
    with _naming(path):
        return Cost(
            dense=_weights(content["dense"], DENSE_MODULES),
            sparse=_weights(content["sparse"], SPARSE_MODULES),
            r2=float(content["r2"]),
            samples=int(content["samples"]),
            macs_full=int(content["macs_full"]),
        )


def _read_search(days: Sequence[int], folder: Path) -> Searched:
    result, path = read_yaml(folder / "result.yaml"), folder / "trajectory.parquet"
    with _naming(folder / "result.yaml"):
        rows, seconds = int(result["rows"]), float(result["task"]["seconds"])
        ne = tuple(float(quarter) for quarter in result.get("ne", ()))
    with _naming(path):
        table = pq.read_table(path)
        columns = {name: np.asarray(table[name].to_numpy(), np.float64) for name in ("step", "expected_macs")}
        sides = {
            side: np.array(table[side].to_pylist(), np.float64).reshape(table.num_rows, -1, len(modules))
            for side, modules in (("alpha", DENSE_MODULES), ("beta", SPARSE_MODULES))
        }
    what = days_in_words(days)
    return Searched(what, rows, seconds, ne, columns["step"], sides["alpha"], sides["beta"], columns["expected_macs"])


def _read_found(folder: Path, thetas: Sequence[float]) -> Found:
    path = folder / "aggregate.yaml"
    mean = read_yaml(path)
    with _naming(path):
        days = tuple(int(day) for day in mean["days"])
        alpha, alpha_spread = (_weights(mean[name], DENSE_MODULES) for name in ("alpha", "alpha_spread"))
        beta, beta_spread = (_weights(mean[name], SPARSE_MODULES) for name in ("beta", "beta_spread"))
    architectures = {}
    for theta in thetas:
        path = folder / architecture_file(theta)
        content = read_yaml(path)
        with _naming(path):
            architectures[theta] = Architecture.from_dict(content)
    return Found(days, alpha, beta, alpha_spread, beta_spread, architectures)


def _read_tasks(run: Path) -> tuple[TaskTime, ...]:
    tasks = []
    for path in run.glob("*/*/result.yaml"):
        content = read_yaml(path)
        with _naming(path):
            told = content["task"]
            started, finished = (datetime.fromisoformat(told[key]) for key in ("started", "finished"))
            stage, name = path.parts[-3:-1]
            tasks.append(TaskTime(stage, name, str(told["host"]), started, finished, float(told["seconds"])))
    return tuple(sorted(tasks, key=lambda task: (task.started, task.stage, task.task)))


def _weights(value: Any, modules: Sequence[str]) -> Array:
    weights = np.array(value, dtype=np.float64)
    if weights.ndim != 2 or weights.shape[1] != len(modules):
        raise ValueError(f"a table with {len(modules)} numbers a block is expected, not one of shape {weights.shape}")
    return weights


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file's content into a UserError that names the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(f"{path} is damaged ({error!r}); remove its folder and run the experiment again.") from None
