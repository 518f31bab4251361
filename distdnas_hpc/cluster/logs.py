"""Find a task's log, and follow it while the task goes on."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.cluster.status import run_status, submitted_jobs
from distdnas_hpc.errors import UserError


def find_task(stages: Sequence[Stage], stage: str | None, task: str | None) -> tuple[Stage, str]:
    """Return the task that a user means: a stage's only one, if none is named; a day's search, if no stage is.

    Raises
    ------
    UserError : there is no such task, or there are several.
    """
    if stage is None and task is None:
        raise UserError("Say which log: --day 7 for a day's search, --stage aggregate, or --stage train --task dlrm.")
    by_name = {each.name: each for each in stages}
    chosen = by_name.get(stage or "search")
    if chosen is None:
        raise UserError(f"The run has no stage '{stage}'; its stages are {', '.join(by_name)}.")
    if task is None and len(chosen.tasks) == 1:
        return chosen, chosen.tasks[0]
    if task not in chosen.tasks:
        said = f"no task '{task}'" if task else f"{len(chosen.tasks)} tasks"
        raise UserError(f"The stage '{chosen.name}' has {said}; name one with --day or --task: {_few(chosen.tasks)}.")
    return chosen, task


def log_files(run: RunFolder, stage: str, task: str, attempt: int) -> list[Path]:
    """Return what there is to read of an attempt: its log, and what its process or its job printed, if anything."""
    folder = run.attempt_folder(stage, task, attempt)
    files = [folder / "log.txt", folder / "output.txt"]
    job = submitted_jobs(run).get((stage, task, attempt))
    if job:
        files.append(run.slurm_folder / f"{job}_0_log.err")
    return [path for path in files if path.is_file() and path.stat().st_size]


def follow(
    run: RunFolder, stage: Stage, task: str, alive: Callable[[], Collection[str] | None], interval: float
) -> Iterator[str]:
    """Yield the log of a task's newest attempt, and what is added to it, until nobody has the task in hand.

    Files are looked at every second; Slurm, by `alive`, is asked every `interval` seconds.
    """
    one = replace(stage, tasks=(task,))
    offset, path, asked = 0, None, -interval
    in_hand = True
    while True:
        if time.monotonic() - asked >= interval:
            (told,) = run_status(run, [one], alive())
            in_hand, asked = told.in_hand, time.monotonic()
            if told.log and Path(told.log) != path:
                path, offset = Path(told.log), 0  # a new attempt's
        if path and path.is_file():
            with path.open("rb") as log:
                log.seek(offset)
                new = log.read()
            whole = new[: new.rfind(b"\n") + 1] if in_hand else new  # characters are not cut in two
            offset += len(whole)
            if whole:
                yield whole.decode(errors="replace")
        if not in_hand:
            return
        time.sleep(min(interval, 1.0))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f", … {names[-1]}" if len(names) > 4 else "")
