"""What a task's files say of it, with as few looks at the (shared, slow) file system as possible.

A stage's folder is listed once, then each task's that is there; of the newest attempt only files that exist are read.
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.storage import CHECKPOINTS, LOADER

Content = dict[str, Any]


@dataclass(frozen=True)
class Attempt:
    """The attempt that gave a task its result, or else its newest: what its files say ({} for one that isn't there).

    Attributes
    ----------
    result : of the task; {} while there is none.
    last_sign : when anything of the attempt was last written, by the clock of its file system (seconds since 1970).
    names : of the files in its folder.
    """

    stage: str
    task: str
    number: int
    folder: Path
    result: Content
    process: Content
    started: Content
    progress: Content
    ended: Content
    last_sign: float
    names: frozenset[str]


def task_names(run: RunFolder, stage: str) -> set[str]:
    """Return the names of the stage's tasks that have a folder."""
    return set(_listed(run.path / stage))


def newest_attempt(run: RunFolder, stage: str, task: str) -> Attempt | None:
    """Read the attempt that says how a task is; None for a task that was never begun."""
    folder = run.task_folder(stage, task)
    here = _listed(folder)
    result = _read(folder / "result.yaml") if "result.yaml" in here else {}
    if result:
        number = result["task"]["attempt"]
    else:
        number = max((int(name.removeprefix("attempt_")) for name in here if name.startswith("attempt_")), default=0)
    if number == 0:
        return None
    attempt = run.attempt_folder(stage, task, number)
    if result:  # two reads a finished task, of which there may be thousands
        progress = _read(attempt / "progress.json")
        return Attempt(stage, task, number, attempt, result, {}, {}, progress, {}, 0.0, frozenset({"log.txt"}))
    names = _listed(attempt)
    process, started, ended, progress = (
        _read(attempt / name) if name in names else {}
        for name in ("process.yaml", "started.yaml", "ended.yaml", "progress.json")
    )
    last_sign = 0.0
    if not ended:
        files = [attempt / name for name in names]
        if CHECKPOINTS in here:  # writing gigabytes takes long, and nothing else is written meanwhile
            files += [folder / CHECKPOINTS / name for name in _listed(folder / CHECKPOINTS)]
        last_sign = max((_time(path) for path in files), default=0.0)
    return Attempt(stage, task, number, attempt, {}, process, started, progress, ended, last_sign, frozenset(names))


def _listed(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _time(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0


def _read(path: Path) -> Content:
    """Read a small file that another process may have removed by now."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    content: Content = json.loads(text) if path.suffix == ".json" else yaml.load(text, LOADER)
    return content
