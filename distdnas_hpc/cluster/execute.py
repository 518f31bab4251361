"""Run one task in this process and leave the truth about it on disk."""

import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from distdnas_hpc.cluster.run_folder import RunFolder, now
from distdnas_hpc.cluster.stages import Stage, Work
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from distdnas_hpc.storage import write_yaml

log = logging.getLogger(__name__)


class TaskError(Exception):
    """A task ended without a result; the reason stands in its attempt's ended.yaml."""


def execute(run: RunFolder, stage: Stage, task: str, attempt: int) -> None:
    """Run one task; write its result, or how it ended without one.

    Raises
    ------
    TaskError : when the work raised; the traceback is in the attempt's log.txt.
    KeyboardInterrupt : when the task was told to stop (Ctrl-C, SIGTERM).
    """
    if run.is_done(stage.name, task):  # a job that Slurm requeued after its end
        return
    folder = run.attempt_folder(stage.name, task, attempt)
    folder.mkdir(parents=True, exist_ok=True)
    started, clock = now(), time.monotonic()
    write_yaml(folder / "started.yaml", {"host": socket.gethostname(), "pid": os.getpid(), "time": started, **_slurm()})
    with _logging_to(folder / "log.txt"), _stop_on_sigterm():
        log.info("%s/%s, attempt %d, starts", stage.name, task, attempt)
        try:
            result = stage.function(Work(run, task, Progress(folder / "progress.json")))
        except UserError as error:
            log.error("%s", error)
            _end(folder, "failed", str(error), input_fault=True)
            raise TaskError(str(error)) from error
        except KeyboardInterrupt:
            log.warning("told to stop")
            _end(folder, "interrupted", "told to stop (Ctrl-C or SIGTERM)")
            raise
        except Exception as error:
            log.exception("%s/%s failed", stage.name, task)
            reason = f"{type(error).__name__}: {error}"
            _end(folder, "failed", reason)
            raise TaskError(reason) from error
        seconds = round(time.monotonic() - clock, 3)
        told = {
            "attempt": attempt,
            "host": socket.gethostname(),
            "started": started,
            "finished": now(),
            "seconds": seconds,
        }
        write_yaml(run.task_folder(stage.name, task) / "result.yaml", {**result, "task": told})
        _end(folder, "done", "")
        log.info("%s/%s done in %.1f s", stage.name, task, seconds)


def _end(folder: Path, state: str, reason: str, *, input_fault: bool = False) -> None:
    write_yaml(folder / "ended.yaml", {"state": state, "time": now(), "reason": reason, "input_fault": input_fault})


def _slurm() -> dict[str, str]:
    """Return what Slurm calls this task and which devices it gave it, for the record."""
    names = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES")
    return {name.lower(): os.environ[name] for name in names if name in os.environ}


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


@contextmanager
def _stop_on_sigterm() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that a stopped task says so on disk."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
