"""What is known about every task of a run: from its files, and from Slurm about jobs that left no word in them."""

import contextlib
import datetime
import os
import re
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from distdnas_hpc.cluster.ended_jobs import REMEDIES, ended_states
from distdnas_hpc.cluster.execute import process_birth
from distdnas_hpc.cluster.run_folder import RunFolder, now
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.cluster.task_files import Attempt, newest_attempt, task_names

SILENCE = 180.0
"""Seconds without a sign of life after which a task on another host counts as lost (progress comes every 30 s)."""

READERS = 16
"""Threads that read tasks' files: each look at a file on NFS waits a millisecond or more, and does nothing else."""

ENDS = {
    "TIMEOUT": "timed out",
    "DEADLINE": "timed out",
    "OUT_OF_MEMORY": "out of memory",
    "PREEMPTED": "preempted",
    "CANCELLED": "interrupted",
}
"""States of tasks whose jobs Slurm ended so; after any other end without a word they are lost."""

KILLED = "killed (exit status 137): often out of memory"
"""Ends the reason of a task that SIGKILL ended: the kernel does so where memory runs out and Slurm doesn't watch it."""

WENT_WRONG = ("failed", "diverged", "interrupted", "timed out", "out of memory", "preempted", "lost")
"""States of a task that ended without a result."""

Jobs = dict[tuple[str, str, int], str]
"""Slurm's job id of a (stage, task, attempt)."""

Name = tuple[str, str]
"""Stage and task."""


@dataclass(frozen=True)
class TaskStatus:
    """One row of `distdnas status`.

    `state` is one of pending (not started), running, done, failed, diverged (its loss did), interrupted (told to stop),
    timed out, out of memory, preempted (Slurm's words), lost (died without a word). `attempt` is 0 for a task that was
    never started and isn't queued. `fraction` is 0 to 1; times are seconds; memory is the most that its process had;
    figures that are not known are None. `architecture` is what a search says of α and β, flat.
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
    memory_bytes: int | None = None

    @property
    def in_hand(self) -> bool:
        """Whether a process or a job has the task: it runs, or will without anybody's doing."""
        return self.state == "running" or (self.state == "pending" and self.attempt > 0)


def run_status(
    run: RunFolder,
    stages: Iterable[Stage],
    alive: Collection[str] | None = None,
    known: Mapping[tuple[str, str], TaskStatus] = MappingProxyType({}),
) -> list[TaskStatus]:
    """Return the status of every task, in the order of the stages.

    Parameters
    ----------
    alive : Slurm's ids ('123_4') of the run's pending and running jobs, with why they wait if it is what `queue` says;
        None when Slurm could not be asked, and then a submitted task that hasn't started is taken to be pending still.
    known : what an earlier look told of (stage, task) that are done, so that their files need not be read again.
    """
    stages = list(stages)
    names = [(stage.name, task) for stage in stages for task in stage.tasks]
    done = {name: known[name] for name in names if name in known and run.is_done(*name)}
    attempts = _newest_attempts(run, [name for name in names if name not in done])
    jobs = submitted_jobs(run)
    done |= {name: _done(attempt, jobs) for name, attempt in attempts.items() if attempt.result}
    at_work = {name: (attempt, _job(attempt, jobs)) for name, attempt in attempts.items() if not attempt.result}
    ends = _ends(run, at_work.values(), alive)
    # Stage.finished would look at the files again.
    finished = {
        stage.name
        for stage in stages
        if sum((stage.name, task) in done for task in stage.tasks) >= (stage.required or len(stage.tasks))
    }
    statuses = []
    for stage in stages:
        for task in stage.tasks:
            if (stage.name, task) in done:
                statuses.append(done[stage.name, task])
            elif (stage.name, task) in at_work:
                attempt, job = at_work[stage.name, task]
                statuses.append(_not_done(run, attempt, job, alive, ends, not finished.issuperset(stage.after)))
            else:
                statuses.append(TaskStatus(stage.name, task, "pending", 0))
    return statuses


def submitted_jobs(run: RunFolder) -> Jobs:
    """Return Slurm's job id of every submitted (stage, task, attempt), from the ledger."""
    return {
        (event["stage"], task, attempt): job
        for event in run.ledger()
        if event["event"] == "submitted"
        for task, attempt, job in zip(event["tasks"], event["attempts"], event["jobs"], strict=True)
    }


def _newest_attempts(run: RunFolder, names: Sequence[Name]) -> dict[Name, Attempt]:
    begun = {stage: task_names(run, stage) for stage in {stage for stage, _ in names}}
    here = [(stage, task) for stage, task in names if task in begun[stage]]
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda name: newest_attempt(run, *name), here)
    return {name: attempt for name, attempt in zip(here, found, strict=True) if attempt is not None}


def _job(attempt: Attempt, jobs: Jobs) -> str | None:
    """Return the job of an attempt, also of one that Slurm began by itself, with the job of an earlier attempt."""
    job = jobs.get((attempt.stage, attempt.task, attempt.number))
    if job is not None:
        return job
    job = attempt.started.get("slurm_job_id")
    if "slurm_array_job_id" in attempt.started:
        job = f"{attempt.started['slurm_array_job_id']}_{attempt.started['slurm_array_task_id']}"
    earlier = (jobs.get((attempt.stage, attempt.task, number)) for number in range(1, attempt.number))
    return job if job in earlier else None


def _ends(
    run: RunFolder, at_work: Iterable[tuple[Attempt, str | None]], alive: Collection[str] | None
) -> dict[str, str]:
    """Return the states in which Slurm ended the jobs of attempts that did not say so themselves, as far as known."""
    cancelled = [job for event in run.ledger() if event["event"] == "cancelled" for job in event["jobs"]]
    ends = dict.fromkeys(cancelled, "CANCELLED")
    if alive is None:
        return ends
    gone = [  # who told an interrupted one to stop, Slurm may know
        job
        for attempt, job in at_work
        if job and job not in alive and attempt.ended.get("state") in (None, "interrupted")
    ]
    return ends | ended_states(gone, squeue_told=isinstance(alive, Mapping)) if gone else ends


def _done(attempt: Attempt, jobs: Jobs) -> TaskStatus:
    about, progress = attempt.result["task"], attempt.progress
    return TaskStatus(
        attempt.stage, attempt.task, "done", attempt.number, jobs.get((attempt.stage, attempt.task, attempt.number)),
        about["host"], about["seconds"], 1.0, attempt.result.get("rows"), progress.get("rows_per_second"),
        progress.get("loss"), log=str(attempt.folder / "log.txt"), architecture=progress.get("architecture"),
        memory_bytes=progress.get("memory_bytes"),
    )  # fmt: skip


def _not_done(
    run: RunFolder,
    attempt: Attempt,
    job: str | None,
    alive: Collection[str] | None,
    ends: Mapping[str, str],
    blocked: bool,
) -> TaskStatus:
    held = _held(attempt, job, alive)
    waits = alive.get(job, "") if job and isinstance(alive, Mapping) else ""
    state, reason = _state(attempt, job, held, waits, ends, blocked)
    if state == "lost" and job and _was_killed(run, job):
        reason += f"; {KILLED}"
    if state == "pending" and not held:
        return TaskStatus(attempt.stage, attempt.task, state, 0, reason=reason)
    started, progress, ended = attempt.started, attempt.progress, attempt.ended
    until = ended.get("time") or (now() if state == "running" else None)
    return TaskStatus(
        attempt.stage, attempt.task, state, attempt.number, job, started.get("host"),
        _seconds_between(started["time"], until) if started and until else None,
        progress.get("fraction") or 0.0, progress.get("rows"), progress.get("rows_per_second"), progress.get("loss"),
        progress.get("eta_seconds") if state == "running" else None, reason, bool(ended.get("input_fault")),
        next(map(str, logs(run, attempt, job)), None), progress.get("architecture"), progress.get("memory_bytes"),
    )  # fmt: skip


def _state(
    attempt: Attempt, job: str | None, held: bool, waits: str, ends: Mapping[str, str], blocked: bool
) -> tuple[str, str]:
    """Return the state and its reason.

    Parameters
    ----------
    held : whether a process or a job has the attempt in hand.
    waits : why its job does, in Slurm's word.
    ends : states in which Slurm ended jobs, as far as known.
    blocked : whether a stage that the task waits for isn't finished; a job that waits for one that failed is cancelled.
    """
    started, ended = attempt.started, attempt.ended
    end = ends.get(job) if job else None
    if ended and ended["state"] == "interrupted" and job:
        if held:  # ending, or queued again
            return "pending", f"{ended['reason']}; Slurm still has its job {job}" + (f" ({waits})" if waits else "")
        if end in ENDS and ENDS[end] != "interrupted":
            return ENDS[end], f"{ended['reason']}; Slurm says {end}"
    if ended:
        return ended["state"], ended["reason"]
    if held and started:
        return "running", ""
    if held:
        return "pending", f"queued as job {job}" + (f" ({waits})" if waits else "") if job else "starting"
    if job is None:
        if started:
            return "lost", f"process {started['pid']} on {started['host']} died without a word"
        if attempt.process:
            return "lost", f"its process died before it began; see {attempt.folder / 'output.txt'}"
        return "pending", ""  # claimed by a command that was stopped at this very moment
    if not started and (end == "CANCELLED" or (end is None and blocked)):
        return "pending", f"its job {job} was cancelled before it started"
    reason = f"its job {job} {'died without a word' if started else 'ended before the task began'}"
    if end is not None:
        reason += f"; Slurm says {end}" + (f": {REMEDIES[end]}" if end in REMEDIES else "")
    return ENDS.get(end or "", "lost"), reason


def _held(attempt: Attempt, job: str | None, alive: Collection[str] | None) -> bool:
    """Whether a process or a job has the attempt in hand, for all that is known."""
    if job is not None and alive is not None:
        return job in alive
    if job is not None and not attempt.started:
        return True
    process = attempt.started or attempt.process
    if not process:
        return False
    if process["host"] == socket.gethostname():
        return _process_lives(process["pid"], process["born"])
    return time.time() - attempt.last_sign < SILENCE


def _was_killed(run: RunFolder, job: str) -> bool:
    """Whether srun, or Slurm's own step daemon, wrote that a job's task was killed by SIGKILL or for want of memory."""
    printed = run.slurm_folder / f"{job}_0_log.err"
    text = printed.read_text(encoding="utf-8", errors="replace") if printed.is_file() else ""
    return (
        re.search(r"^(srun: error: .*: (Killed|Out Of Memory)$|slurmstepd: error: .*oom.kill)", text, re.M) is not None
    )


def logs(run: RunFolder, attempt: Attempt, job: str | None) -> Iterator[Path]:
    """Yield the files that tell about an attempt, the most telling first: its log, what its process or job printed."""
    yield from (attempt.folder / name for name in ("log.txt", "output.txt") if name in attempt.names)
    if job:
        printed = run.slurm_folder / f"{job}_0_log.err"
        if printed.is_file():
            yield printed


def _process_lives(pid: int, born: str) -> bool:
    try:
        with contextlib.suppress(PermissionError):  # someone else's process is alive too
            os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return process_birth(pid) == born


def _seconds_between(start: str, end: str) -> float:
    return (datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(start)).total_seconds()
