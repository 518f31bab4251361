"""Run the tasks on this machine: one after the other in this process, or some at a time in processes of their own."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence

from distdnas_hpc.cluster.execute import TaskError, end_attempt, execute, process_record, stop_on_signals
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage, in_order
from distdnas_hpc.storage import write_yaml

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "distdnas_hpc", "task")
"""Starts a task in a process of its own; RUN STAGE TASK --attempt N follow."""
GRACE = 30.0
"""Seconds that stopped tasks get to end in order before they are killed; Slurm's usual KillWait."""


def run_inline(run: RunFolder, stages: Sequence[Stage]) -> None:
    """Run every missing task in this process, in order; a stage whose predecessors did not finish is left out."""
    finished: set[str] = set()
    for stage in in_order(stages):
        if not finished.issuperset(stage.after):
            continue
        for task in stage.missing(run):
            try:
                execute(run, stage, task, run.new_attempt(stage.name, task))
            except TaskError:
                log.debug("%s/%s failed; its reason is in its ended.yaml", stage.name, task)
        if stage.finished(run):
            finished.add(stage.name)


def run_local(
    run: RunFolder, stages: Sequence[Stage], workers: int, threads: int, command: Sequence[str] = COMMAND
) -> None:
    """Run the missing tasks in processes of their own, at most `workers` at a time, each after those it waits for.

    A failed task is not tried again and stops what waits for it, not its siblings. On Ctrl-C or SIGTERM (or any other
    exception here) the processes are told to stop and waited for; what they finished stays.
    """
    ordered = list(in_order(stages))
    waiting = [(stage, task) for stage in ordered for task in stage.missing(run)]
    running: dict[subprocess.Popen[bytes], tuple[Stage, str, int]] = {}
    with stop_on_signals():
        try:
            while True:
                open_stages = {stage.name for stage in ordered if not stage.finished(run)}
                # The result files are looked at when a task has ended, not all the time: they may lie on NFS.
                for stage, task in list(waiting):
                    if len(running) == workers:
                        break
                    unsettled = open_stages.union(other.name for other, _, _ in running.values())
                    if unsettled.isdisjoint(stage.after):
                        waiting.remove((stage, task))
                        attempt = run.new_attempt(stage.name, task)
                        process = _start(run, stage, task, attempt, threads, command)
                        running[process] = (stage, task, attempt)
                        # Imports take seconds; until the task's own started.yaml this says that it is being started.
                        folder = run.attempt_folder(stage.name, task, attempt)
                        write_yaml(folder / "process.yaml", process_record(process.pid))
                if not running:
                    return
                while not (ended := [process for process in running if process.poll() is not None]):
                    time.sleep(0.05)
                for process in ended:
                    _tell_end(run, *running.pop(process), process.returncode)
        finally:
            try:
                _stop(running)
            finally:
                for process, (stage, task, attempt) in running.items():
                    _tell_end(run, stage, task, attempt, process.returncode, state="interrupted")


def _start(
    run: RunFolder, stage: Stage, task: str, attempt: int, threads: int, command: Sequence[str]
) -> "subprocess.Popen[bytes]":
    with (run.attempt_folder(stage.name, task, attempt) / "output.txt").open("wb") as output:
        # A session of its own: Ctrl-C reaches this process alone, which then stops its tasks in order.
        return subprocess.Popen(
            [*command, str(run.path), stage.name, task, "--attempt", str(attempt)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            start_new_session=True,
        )


def _tell_end(run: RunFolder, stage: Stage, task: str, attempt: int, code: int, state: str = "lost") -> None:
    """Say how a process ended that could not say so itself."""
    folder = run.attempt_folder(stage.name, task, attempt)
    if run.is_done(stage.name, task) or (folder / "ended.yaml").is_file():
        return
    if code < 0:
        reason = f"its process was killed by {signal.Signals(-code).name}"
        if state == "lost" and code == -signal.SIGKILL:
            reason += ", as the kernel does when memory runs out"
    else:
        reason = f"its process ended with status {code} and without a word; see {folder / 'output.txt'}"
    end_attempt(folder, state, reason)


def _stop(processes: Collection["subprocess.Popen[bytes]"]) -> None:
    """Tell processes to stop, wait for them, and kill those that are not gone after GRACE or a second Ctrl-C."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + GRACE
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            for process in processes:
                process.wait(max(until - time.monotonic(), 0.0))
    finally:
        for process in processes:
            process.kill()
            process.wait()
