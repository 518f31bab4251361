"""Real searches of seconds, for faults to hit: a finished run, and copies of it of which the search is undone."""

import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import yaml

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.storage import read_yaml
from tests.shrunk import distdnas, write_config
from tests.slurm.one_machine import OneMachineSlurm

SMALL = {
    "search": {"days": "1-3", "batch_size": 4},
    "train": {"days": "1-3", "test_day": 4, "batch_size": 64, "baselines": []},
    "checkpoint": {"minutes": None, "steps": 10},
}
"""Three days whose searches are long enough to be hit, and a training that is short."""
DAYS = ("day_01", "day_02", "day_03")


def finish_one(folder: Path) -> Path:
    """Run it on this machine, undisturbed; return the run folder."""
    told = distdnas("run", write_config(folder, **SMALL), "--cluster", "local", "--workers", 2)
    assert told.returncode == 0, told.stderr
    return folder / "run"


def before_the_search(finished: Path, folder: Path, *, trained: bool = True, **slurm: Any) -> RunFolder:
    """Return a copy of a finished run whose days are to be searched again.

    Parameters
    ----------
    trained : whether the training, which no fault is about, is done; then only the days and their mean are missing.
    slurm : what its tasks ask for.
    """
    run = shutil.copytree(finished, folder / "run")
    for stage in ("search", "aggregate", *(() if trained else ("train", "report"))):
        shutil.rmtree(run / stage)
    tree = yaml.safe_load((run / "config.yaml").read_text())
    tree["run"] = str(run)
    tree["cluster"] = {"executor": "slurm", "slurm": {"time_minutes": 10, **slurm}}
    for place in (run / "config.yaml", folder / "config.yaml"):
        place.write_text(yaml.safe_dump(tree))
    return RunFolder(run)


def started(run: RunFolder, task: str, stage: str = "search") -> dict[str, Any]:
    """Return who the newest attempt of a task is; {} before it has begun."""
    path = run.attempt_folder(stage, task, run.last_attempt(stage, task)) / "started.yaml"
    return read_yaml(path) if path.is_file() else {}


def freeze(slurm: OneMachineSlurm, run: RunFolder, *tasks: str) -> list[int]:
    """Stop the processes of searches once each has a checkpoint, so that it is hit in its midst on any machine."""
    frozen = []
    for task in tasks:
        folder = run.task_folder("search", task)
        slurm.wait(lambda: list((folder / "checkpoints").glob("step_*.pt")), f"a checkpoint of {task}")  # noqa: B023
        pid = started(run, task)["pid"]
        os.kill(pid, signal.SIGSTOP)
        assert not run.is_done("search", task), "the search is too short to be hit: make it longer"
        frozen.append(pid)
    return frozen


def thaw(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def stop_comes(slurm: OneMachineSlurm, run: RunFolder, task: str, pid: int) -> None:
    """Wait until a frozen process is told to stop by Slurm, let it do so, and wait for its end."""
    ended = run.attempt_folder("search", task, 1) / "ended.yaml"

    def stopped() -> bool:
        if ended.is_file():
            return True
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            if any(int(line.split()[1], 16) for line in lines if line.startswith("ShdPnd")):
                thaw(pid)
        return False

    slurm.wait(stopped, f"{task} told to stop", 150)


def attempts(run: RunFolder, task: str, stage: str = "search") -> list[str]:
    """Return how each attempt of a task ended ('' for one that left no word)."""
    folders = sorted(run.task_folder(stage, task).glob("attempt_*"))
    ends = [folder / "ended.yaml" for folder in folders]
    return [read_yaml(end)["state"] if end.is_file() else "" for end in ends]


def log(run: RunFolder, task: str, attempt: int) -> str:
    return (run.attempt_folder("search", task, attempt) / "log.txt").read_text()
