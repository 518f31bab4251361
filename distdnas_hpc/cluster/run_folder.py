"""The folder that holds everything of one experiment (DESIGN §7).

    RUN/config.yaml, environment.yaml, ledger.jsonl, report.html
    RUN/STAGE/TASK/result.yaml             the truth: a task is done exactly when this exists
    RUN/STAGE/TASK/checkpoints/            what the next attempt of search or training goes on from, until result.yaml
    RUN/STAGE/TASK/attempt_01/             started.yaml, progress.json, log.txt, ended.yaml; of a process on this
                                           machine also process.yaml and output.txt
    RUN/slurm/                             sbatch scripts and what jobs printed
    RUN/code/CONTENT/                      the code that jobs run, as it was when they were submitted
    RUN/superseded/01/STAGE/TASK/          results that were made again, since a day came later
    RUN/study/NAME/                        a run of a study, which has the ledger and slurm/ of all its runs

Files are written whole by atomic rename and need no locks; an attempt's number is claimed by mkdir, which is atomic on
every shared file system.
"""

import datetime
import importlib.metadata
import json
import os
import platform
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distdnas_hpc.config import Config, load_config
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import read_yaml, write_yaml

STUDY = "study"
"""Folder of a study's runs."""


class RunFolder:
    """A run on disk; open one with `RunFolder(path)`, make or continue one with `RunFolder.prepare(config)`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        if not (self.path / "config.yaml").is_file():
            raise UserError(f"{path} is not a run folder (no config.yaml in it); give the folder of an earlier run.")

    @classmethod
    def prepare(cls, config: Config) -> "RunFolder":
        """Make the run folder of `config`, or open the one that is there if it belongs to the same experiment.

        Where tasks run (`cluster`) and when they write checkpoints may differ from last time and is updated; anything
        else that differs is refused, so that results of two experiments never mix.
        """
        path = config.run
        existing = path / "config.yaml"
        if existing.is_file():
            cls.open(config)
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(f"{path} exists but is not a run folder; nothing was changed. Set 'run' to a new folder.")
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_yaml(existing, config.to_dict())  # first: it is what makes this a run folder
            if not (path / "environment.yaml").is_file():
                write_yaml(path / "environment.yaml", _environment())
        except OSError as error:
            raise UserError(
                f"The run folder {path} can't be written ({error.strerror}); set 'run' elsewhere."
            ) from None
        return cls(path)

    @classmethod
    def open(cls, config: Config) -> "RunFolder":
        """Open the run folder of `config` unchanged; a UserError if it isn't there or belongs to another."""
        run = cls(config.run)
        differing = _differences(run.config.experiment(), config.experiment())
        if differing:
            raise UserError(
                f"The run folder {config.run} belongs to another config (it differs in {', '.join(differing)}); "
                "nothing was changed. Set 'run' to a new folder (or pass --run), or remove this one."
            )
        return run

    @property
    def config(self) -> Config:
        """The resolved config, read from the folder."""
        return load_config(self.path / "config.yaml")

    @property
    def study(self) -> Path | None:
        """The folder of the study that the run is part of, if it is."""
        above = self.path.parents[1] if self.path.parent.name == STUDY else None
        return above if above and (above / "config.yaml").is_file() else None

    @property
    def slurm_folder(self) -> Path:
        """Where the run's jobs have their scripts and what they printed."""
        return (self.study or self.path) / "slurm"

    def task_folder(self, stage: str, task: str) -> Path:
        """Folder of a task's result and outputs."""
        return self.path / stage / task

    def is_done(self, stage: str, task: str) -> bool:
        """Whether the task has a result."""
        return (self.task_folder(stage, task) / "result.yaml").is_file()

    def result(self, stage: str, task: str) -> dict[str, Any]:
        """Return what the task returned; a UserError if it is not done."""
        return read_yaml(self.task_folder(stage, task) / "result.yaml")

    def new_attempt(self, stage: str, task: str) -> int:
        """Claim the next attempt of a task and return its number, from 1."""
        number = self.last_attempt(stage, task) + 1
        while True:
            try:
                self.attempt_folder(stage, task, number).mkdir(parents=True)
            except FileExistsError:  # another command claimed it at this very moment
                number += 1
            else:
                return number

    def last_attempt(self, stage: str, task: str) -> int:
        """Return the number of the newest attempt, 0 if there was none."""
        names = [path.name for path in self.task_folder(stage, task).glob("attempt_*")]
        return max((int(name.removeprefix("attempt_")) for name in names), default=0)

    def attempt_folder(self, stage: str, task: str, attempt: int) -> Path:
        """Folder of one attempt's log, progress and end."""
        return self.task_folder(stage, task) / f"attempt_{attempt:02d}"

    def set_aside(self, tasks: Iterable[tuple[str, str]]) -> Path:
        """Move what tasks (stage, name) left, and the report, to RUN/superseded/NN, and return that: nothing is lost.

        The tasks are then as if they had never been begun.
        """
        number = 1
        while True:
            folder = self.path / "superseded" / f"{number:02d}"
            try:
                folder.mkdir(parents=True)
                break
            except FileExistsError:
                number += 1
        for stage, task in tasks:
            if self.task_folder(stage, task).is_dir():
                (folder / stage).mkdir(parents=True, exist_ok=True)
                self.task_folder(stage, task).rename(folder / stage / task)
        if (self.path / "report.html").is_file():
            (self.path / "report.html").rename(folder / "report.html")
        return folder

    def record(self, event: dict[str, Any]) -> None:
        """Append an event to the ledger of what was submitted."""
        with ((self.study or self.path) / "ledger.jsonl").open("a", encoding="utf-8") as ledger:
            ledger.write(json.dumps({"time": now(), **event}) + "\n")
            ledger.flush()
            os.fsync(ledger.fileno())

    def ledger(self) -> list[dict[str, Any]]:
        """Return every event recorded so far, oldest first; a UserError names a line that is damaged.

        Of a study's ledger, what is about this run is told, by the run's own names of stages.
        """
        path = (self.study or self.path) / "ledger.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        events: list[dict[str, Any]] = []
        for number, line in enumerate(lines, start=1):
            try:
                events.append(json.loads(line))
            except json.JSONDecodeError:
                raise UserError(f"{path}, line {number}: not valid JSON (a full disk?); remove the line.") from None
        if self.study is None:
            return events
        prefix = f"{STUDY}/{self.path.name}/"
        return [
            {**event, "stage": event["stage"].removeprefix(prefix)} if "stage" in event else event
            for event in events
            if event.get("stage", prefix).startswith(prefix)
        ]


def now() -> str:
    """Return the time in UTC, ISO 8601 to the millisecond."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted names of the keys whose values differ."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(prefix + key)
    return found


def _environment() -> dict[str, Any]:
    """Return the versions that a result may depend on."""
    names = ("distdnas-hpc", "torch", "numpy", "pyarrow", "h5py", "hdf5plugin", "scikit-learn", "submitit", "pydantic")
    return {
        "created": now(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in names},
    }
