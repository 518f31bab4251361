"""What is known about every task of a run: from its files, and from Slurm about jobs that left no word in them."""

import contextlib
import datetime
import json
import os
import socket
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from distdnas_hpc.cluster.ended_jobs import REMEDIES, ended_states
from distdnas_hpc.cluster.execute import process_birth
from distdnas_hpc.cluster.run_folder import RunFolder, now
from distdnas_hpc.cluster.stages import Stage

SILENCE = 180.0
"""Seconds without a sign of life after which a task on another host counts as lost (progress comes every 30 s)."""

WENT_WRONG = ("failed", "diverged", "interrupted", "lost")
"""States of a task that ended without a result."""

Jobs = dict[tuple[str, str, int], str]
"""Slurm's job id of a (stage, task, attempt)."""


@dataclass(frozen=True)
class TaskStatus:
    """One row of `distdnas status`.

    `state` is one of pending (not started), running, done, failed, diverged (its loss did), interrupted (told to stop),
    lost (died without a word). `attempt` is 0 for a task that was never started and isn't queued. `fraction` is 0 to 1;
    times are seconds; figures that are not known are None. `architecture` is what a search says of α and β, flat.
    """

    stage: str
    task: str
    state: str
    attempt: int
    job: str | None = None
    host: str | None = None
    seconds: float | None = None
    fraction: float = 0.0
    rows: int | None = None
    rows_per_second: float | None = None
    loss: float | None = None
    eta_seconds: float | None = None
    reason: str = ""
    input_fault: bool = False
    log: str | None = None
    architecture: dict[str, list[float]] | None = None


@dataclass(frozen=True)
class _Attempt:
    """The newest attempt of a task without a result: what its files say ({} for one that isn't there), and its job."""

    number: int
    folder: Path
    process: dict[str, Any]
    started: dict[str, Any]
    progress: dict[str, Any]
    ended: dict[str, Any]
    job: str | None


def run_status(
    run: RunFolder,
    stages: Iterable[Stage],
    alive: Collection[str] | None = None,
    known: Mapping[tuple[str, str], TaskStatus] = MappingProxyType({}),
) -> list[TaskStatus]:
    """Return the status of every task, in the order of the stages.

    Parameters
    ----------
    known : what an earlier look told of (stage, task) that are done, so that their files need not be read again.
    alive : Slurm's ids ('123_4') of the run's pending and running jobs; None when Slurm could not be asked, and then
        a submitted task that hasn't started is taken to be pending still.
    """
    stages = list(stages)
    jobs = submitted_jobs(run)
    tasks = [(stage, task) for stage in stages for task in stage.tasks]
    attempts = {(stage.name, task): _newest_attempt(run, stage.name, task, jobs) for stage, task in tasks}
    gone = [] if alive is None else [told.job for told in attempts.values() if told and told.job and not told.ended]
    ends = _cancelled_jobs(run) | ended_states([job for job in gone if job not in (alive or ())])
    unfinished = {stage.name for stage in stages if not stage.finished(run)}
    statuses = []
    for stage, task in tasks:
        attempt = attempts[stage.name, task]
        if run.is_done(stage.name, task):
            statuses.append(known.get((stage.name, task)) or _done(run, stage.name, task, jobs))
        elif attempt is None:
            statuses.append(TaskStatus(stage.name, task, "pending", 0))
        else:
            held = _held(attempt, alive)
            state, reason = _state(attempt, held, ends, not unfinished.isdisjoint(stage.after))
            if state == "pending" and not held:
                statuses.append(TaskStatus(stage.name, task, state, 0, reason=reason))
            else:
                statuses.append(_not_done(run, stage.name, task, attempt, state, reason))
    return statuses


def submitted_jobs(run: RunFolder) -> Jobs:
    """Return Slurm's job id of every submitted (stage, task, attempt), from the ledger."""
    return {
        (event["stage"], task, attempt): job
        for event in run.ledger()
        if event["event"] == "submitted"
        for task, attempt, job in zip(event["tasks"], event["attempts"], event["jobs"], strict=True)
    }


def _cancelled_jobs(run: RunFolder) -> dict[str, str]:
    """Return the jobs that were cancelled from here, with the state in which Slurm leaves them."""
    return {job: "CANCELLED" for event in run.ledger() if event["event"] == "cancelled" for job in event["jobs"]}


def _newest_attempt(run: RunFolder, stage: str, task: str, jobs: Jobs) -> _Attempt | None:
    number = 0 if run.is_done(stage, task) else run.last_attempt(stage, task)
    if number == 0:
        return None
    folder = run.attempt_folder(stage, task, number)
    process, started, ended = (_read(folder / f"{name}.yaml") for name in ("process", "started", "ended"))
    job = jobs.get((stage, task, number)) or _job_of_requeued(started, jobs)
    return _Attempt(number, folder, process, started, _read(folder / "progress.json"), ended, job)


def _job_of_requeued(started: dict[str, Any], jobs: Jobs) -> str | None:
    """Return the job of an attempt that Slurm began by itself, with the job of an earlier attempt."""
    job = started.get("slurm_job_id")
    if "slurm_array_job_id" in started:
        job = f"{started['slurm_array_job_id']}_{started['slurm_array_task_id']}"
    return job if job in jobs.values() else None


def _state(attempt: _Attempt, held: bool, ends: dict[str, str], blocked: bool) -> tuple[str, str]:
    """Return the state and its reason.

    Parameters
    ----------
    held : whether a process or a job has the attempt in hand.
    ends : states in which Slurm ended jobs, as far as known.
    blocked : whether a stage that the task waits for isn't finished; a job that waits for one that failed is cancelled.
    """
    job, started, ended = attempt.job, attempt.started, attempt.ended
    if ended and ended["state"] == "interrupted" and job and held:
        return "pending", f"{ended['reason']}; Slurm still has its job {job}"  # ending, or queued again
    if ended:
        return ended["state"], ended["reason"]
    if held:
        return ("running", "") if started else ("pending", f"queued as job {job}" if job else "starting")
    if job is None:
        if started:
            return "lost", f"process {started['pid']} on {started['host']} died without a word"
        if attempt.process:
            return "lost", f"its process died before it began; see {attempt.folder / 'output.txt'}"
        return "pending", ""  # claimed by a command that was stopped at this very moment
    end = ends.get(job)
    if not started and (end == "CANCELLED" or (end is None and blocked)):
        return "pending", f"its job {job} was cancelled before it started"
    reason = f"its job {job} {'died without a word' if started else 'ended before the task began'}"
    if end is not None:
        reason += f"; Slurm says {end}" + (f": {REMEDIES[end]}" if end in REMEDIES else "")
    return "interrupted" if end in ("CANCELLED", "PREEMPTED") else "lost", reason


def _held(attempt: _Attempt, alive: Collection[str] | None) -> bool:
    """Whether a process or a job has the attempt in hand, for all that is known."""
    if attempt.job is not None and alive is not None:
        return attempt.job in alive
    if attempt.job is not None and not attempt.started:
        return True
    process = attempt.started or attempt.process
    if not process:
        return False
    if process["host"] == socket.gethostname():
        return _process_lives(process["pid"], process["born"])
    sign = max(_file_time(attempt.folder / name) for name in ("process.yaml", "started.yaml", "progress.json"))
    return datetime.datetime.now().timestamp() - sign < SILENCE


def _process_lives(pid: int, born: str) -> bool:
    try:
        with contextlib.suppress(PermissionError):  # someone else's process is alive too
            os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return process_birth(pid) == born


def _done(run: RunFolder, stage: str, task: str, jobs: Jobs) -> TaskStatus:
    told = run.result(stage, task)
    about = told["task"]
    folder = run.attempt_folder(stage, task, about["attempt"])
    progress = _read(folder / "progress.json")
    return TaskStatus(
        stage, task, "done", about["attempt"], jobs.get((stage, task, about["attempt"])), about["host"],
        about["seconds"], 1.0, told.get("rows"), progress.get("rows_per_second"), progress.get("loss"),
        log=str(folder / "log.txt"), architecture=progress.get("architecture"),
    )  # fmt: skip


def _not_done(run: RunFolder, stage: str, task: str, attempt: _Attempt, state: str, reason: str) -> TaskStatus:
    started, progress, ended = attempt.started, attempt.progress, attempt.ended
    until = ended.get("time") or (now() if state == "running" else None)
    return TaskStatus(
        stage, task, state, attempt.number, attempt.job, started.get("host"),
        _seconds_between(started["time"], until) if started and until else None,
        progress.get("fraction") or 0.0, progress.get("rows"), progress.get("rows_per_second"), progress.get("loss"),
        progress.get("eta_seconds") if state == "running" else None, reason, bool(ended.get("input_fault")),
        _log(run, attempt), progress.get("architecture"),
    )  # fmt: skip


def _log(run: RunFolder, attempt: _Attempt) -> str | None:
    """Return the file that tells most about an attempt: its log, else what its job or process printed."""
    files = [attempt.folder / "log.txt", attempt.folder / "output.txt"]
    if attempt.job:
        files.append(run.path / "slurm" / f"{attempt.job}_0_log.err")
    return next((str(path) for path in files if path.is_file()), None)


def _seconds_between(start: str, end: str) -> float:
    return (datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(start)).total_seconds()


def _file_time(path: Path) -> float:
    """Return when a file was last written, by the clock of its file system; 0 if it isn't there."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _read(path: Path) -> dict[str, Any]:
    """Read a small file that may not be there yet."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    content: dict[str, Any] = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    return content
