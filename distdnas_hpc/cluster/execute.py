"""Run one task in this process and leave the truth about it on disk."""

import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from distdnas_hpc.cluster.requeue import NEAR_TIME_LIMIT, begun_too_often, must_requeue, requeue
from distdnas_hpc.cluster.run_folder import RunFolder, now
from distdnas_hpc.cluster.stages import Stage, Work
from distdnas_hpc.errors import DivergedError, UserError
from distdnas_hpc.progress import Progress
from distdnas_hpc.storage import CHECKPOINTS, write_yaml
from distdnas_hpc.tensorboard import FOLDER, EventFile

log = logging.getLogger(__name__)

STOP_SIGNALS = {
    signal.SIGTERM: "told to stop (SIGTERM: scancel, preemption or kill)",
    signal.SIGUSR2: NEAR_TIME_LIMIT,
}
"""What a stopped task says about each signal. A job gets SIGUSR2 when its time is nearly up (cluster/slurm.py)."""

RAISED_AGAIN = 0.5
"""Seconds until a Stopped that nobody got is raised again."""

HEARTBEAT = 60.0
"""Seconds between two signs of life of a task that is silent; status believes in it for three times as long."""


class TaskError(Exception):
    """A task ended without a result; the reason stands in its attempt's ended.yaml."""


class Stopped(KeyboardInterrupt):
    """A signal that asks to stop, raised like Ctrl-C; its text says which."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(STOP_SIGNALS[number])
        self.near_time_limit = number == signal.SIGUSR2


def execute(run: RunFolder, stage: Stage, task: str, attempt: int) -> None:
    """Run one task; write its result, or how it ended without one. With the result there, its checkpoints are removed.

    A job that must end too early, since its time limit is near or it is preempted, is queued again. A result that is
    there already stays: a twin was quicker, which Slurm began because a node did not answer.

    Raises
    ------
    TaskError : when the work raised, the traceback is in the attempt's log.txt; when a loss diverged; or when the job
        began too often.
    KeyboardInterrupt : when the task was told to stop (Ctrl-C, SIGTERM, SIGUSR2).
    """
    checkpoints = run.task_folder(stage.name, task) / CHECKPOINTS
    if run.is_done(stage.name, task):  # a job that Slurm requeued after its end
        shutil.rmtree(checkpoints, ignore_errors=True)
        return
    folder = run.attempt_folder(stage.name, task, attempt)
    if (folder / "started.yaml").exists():  # a job that Slurm requeued after its start: attempts are never mixed
        attempt = run.new_attempt(stage.name, task)
        folder = run.attempt_folder(stage.name, task, attempt)
    folder.mkdir(parents=True, exist_ok=True)
    if too_often := begun_too_often(run.config):
        end_attempt(folder, "failed", too_often)
        raise TaskError(too_often)
    started, clock = now(), time.monotonic()
    with _logging_to(folder / "log.txt"), stop_on_signals(), _heartbeat(folder / "started.yaml"):
        try:
            write_yaml(folder / "started.yaml", {**process_record(os.getpid()), "time": started, **_slurm()})
            log.info("%s/%s, attempt %d, starts", stage.name, task, attempt)
            task_folder = run.task_folder(stage.name, task)
            events = EventFile(task_folder / FOLDER).add_progress if run.config.tensorboard else None
            work = Work(run, task, task_folder, Progress(folder / "progress.json", events))
            result = stage.function(work)
            seconds = round(time.monotonic() - clock, 3)
            told = {
                "attempt": attempt,
                "host": socket.gethostname(),
                "started": started,
                "finished": now(),
                "seconds": seconds,
            }
            if not run.is_done(stage.name, task):
                write_yaml(run.task_folder(stage.name, task) / "result.yaml", {**result, "task": told})
            shutil.rmtree(checkpoints, ignore_errors=True)
        except UserError as error:
            log.error("%s", error)
            end_attempt(folder, "failed", str(error), input_fault=True)
            raise TaskError(str(error)) from error
        except DivergedError as error:
            log.error("%s", error)
            end_attempt(folder, "diverged", str(error))
            raise TaskError(str(error)) from error
        except KeyboardInterrupt as error:
            reason = str(error) or "told to stop (Ctrl-C)"
            log.warning("%s", reason)
            end_attempt(folder, "interrupted", reason)  # first: queueing a job again kills it
            if isinstance(error, Stopped) and must_requeue(error.near_time_limit):
                end_attempt(folder, "interrupted", f"{reason}; {requeue(run.config)}")
            raise
        except Exception as error:
            log.exception("%s/%s failed", stage.name, task)
            reason = f"{type(error).__name__}: {error}"
            end_attempt(folder, "failed", reason)
            raise TaskError(reason) from error
        end_attempt(folder, "done", "")
        log.info("%s/%s done in %.1f s", stage.name, task, seconds)


def end_attempt(folder: Path, state: str, reason: str, *, input_fault: bool = False) -> None:
    """Write how an attempt ended: `state` is done, failed, diverged, interrupted or lost, `reason` a sentence."""
    write_yaml(folder / "ended.yaml", {"state": state, "time": now(), "reason": reason, "input_fault": input_fault})


def process_record(pid: int) -> dict[str, Any]:
    """Return what tells a process of this host from every other, also after its pid is given to a new one."""
    return {"host": socket.gethostname(), "pid": pid, "born": process_birth(pid)}


def process_birth(pid: int) -> str:
    """Return when a process of this host was started, in clock ticks since boot; '' for a dead one or without /proc."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if state in "ZX" else fields[18]


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Treat one of STOP_SIGNALS like Ctrl-C, so that what is stopped can end in order; meanwhile others are ignored.

    Python loses an exception that a signal's handler raises inside a callback from C, such as those of a compiler or of
    the garbage collector. So it is raised again until an `except` or `finally` has it, or the block is over.

    In a job, submitit has handlers of its own for these signals, which ignore SIGTERM and requeue or fail the job on
    SIGUSR2; they are put aside while the block runs, since the run folder is what decides about another attempt.
    """
    first: int | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = number
        if not _is_stopping():
            signal.setitimer(signal.ITIMER_REAL, RAISED_AGAIN, RAISED_AGAIN)
            raise Stopped(signal.Signals(first))

    before = {number: signal.signal(number, stop) for number in (*STOP_SIGNALS, signal.SIGALRM)}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_stopping() -> bool:
    """Whether an `except` or `finally` that runs just now has a Stopped, or an error that arose over one."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, Stopped):
        error = error.__context__
    return error is not None


def _slurm() -> dict[str, str]:
    """Return what Slurm calls this task and which devices it gave it, for the record."""
    names = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES")
    return {name.lower(): os.environ[name] for name in names if name in os.environ}


@contextmanager
def _heartbeat(path: Path) -> Iterator[None]:
    """Touch a file now and then, so that a task that waits long for its file system is not taken for dead."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(HEARTBEAT):
            with contextlib.suppress(OSError):
                os.utime(path)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()  # not waited for: it may hang in the file system


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send everything that is logged meanwhile to the attempt's log as well."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()
