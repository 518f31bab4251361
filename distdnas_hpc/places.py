"""Where a run keeps what its tasks leave, and how tasks are called."""

from pathlib import Path

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.config import Config
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.storage import read_yaml
from distdnas_hpc.train.candidates import Candidate, architecture_file

WHOLE = "all"
"""Name of the task of a stage that has one."""


def day_name(day: int) -> str:
    """Return the name of the tasks of a day."""
    return f"day_{day:02d}"


def day_of(task: str) -> int:
    """Return the day of a task that has one."""
    return int(task.removeprefix("day_"))


def days_of(config: Config) -> list[int]:
    """Return the days that are searched, trained on or tested."""
    return sorted({*config.search.days, *config.train.days, config.train.test_day})


def prepared_folder(run: RunFolder) -> Path:
    """Return where a run's shards and their manifest are."""
    return (run.config.prepared or run.path) / "prepared"


def cost_folder(run: RunFolder) -> Path:
    """Return where a run's cost importance is."""
    return (run.config.prepared or run.path) / "cost" / WHOLE


def architecture_of(run: RunFolder, candidate: Candidate) -> Architecture | None:
    """Return what the search found for a candidate's θ; None for a baseline."""
    if candidate.theta is None:
        return None
    return Architecture.from_dict(read_yaml(run.task_folder("aggregate", WHOLE) / architecture_file(candidate.theta)))
