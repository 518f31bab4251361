"""Run the tasks as Slurm jobs, through submitit: one job array a stage, each after those it waits for.

Slurm keeps the order (`--dependency`), the run folder keeps the truth: submitit's own pickled results are not read.
"""

import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import submitit

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage, in_order
from distdnas_hpc.cluster.status import submitted_jobs
from distdnas_hpc.config import Cluster
from distdnas_hpc.errors import UserError

log = logging.getLogger(__name__)

TaskFunction = Callable[[str, str, str, int], None]
"""Runs one task, given run folder, stage, task and attempt; must be importable by the interpreter on the nodes."""

WARNING = 90
"""Seconds before its time limit at which a task is told (SIGUSR2), at most a tenth of its time."""


def submit(run: RunFolder, stages: Sequence[Stage], function: TaskFunction) -> int:
    """Submit every missing task; return how many there were.

    Tasks of a stage wait until all tasks before them are done (`afterok`), or have ended where fewer are required
    (`afterany`); Slurm cancels those that wait in vain. When sbatch refuses a stage, what this call has submitted is
    cancelled.

    Raises
    ------
    UserError : tasks of the run are running or queued already; Slurm isn't there, or refused.
    """
    missing_command = next((name for name in ("sbatch", "srun", "squeue") if shutil.which(name) is None), None)
    if missing_command:
        raise UserError(
            f"There is no {missing_command} on this machine; run the command on a login node of a Slurm cluster, or "
            "without Slurm (--cluster local)."
        )
    alive = alive_jobs(run)
    if alive is None:
        raise UserError(
            f"squeue does not answer, so nobody knows whether jobs of {run.path} still run; nothing was submitted. "
            "Try again when 'squeue' works."
        )
    if alive:
        raise UserError(
            f"{len(alive)} jobs of {run.path} are running or queued already ({_few(alive)}); nothing was submitted. "
            "Wait for them, or cancel them with scancel."
        )
    by_name = {stage.name: stage for stage in stages}
    jobs: dict[str, list[str]] = {}
    try:
        for stage in in_order(stages):
            tasks = stage.missing(run)
            if tasks:
                dependency = ",".join(dict.fromkeys(_conditions(stage, by_name, jobs)))
                jobs[stage.name] = _submit_stage(run, stage, tasks, function, dependency)
    except BaseException:
        _scancel(run, [job for submitted in jobs.values() for job in submitted])
        raise
    return sum(len(submitted) for submitted in jobs.values())


def alive_jobs(run: RunFolder) -> set[str] | None:
    """Return the ids ('123', or '123_4' in an array) of this run's pending and running jobs, ending ones included.

    None when Slurm can't be asked: there is no squeue, or it does not answer.
    """
    jobs = set(submitted_jobs(run).values())
    if not jobs:
        return set()
    arrays = sorted({job.partition("_")[0] for job in jobs}, key=int)
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={','.join(arrays)}"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.debug("squeue does not answer: %s", error)
        return None
    if told.returncode != 0 and "Invalid job id" not in told.stderr:  # an id that Slurm has forgotten is an answer
        log.debug("squeue does not answer: %s", told.stderr.strip())
        return None
    return jobs & set(told.stdout.split())


def wait(run: RunFolder, interval: float = 5.0) -> None:
    """Return when no job of the run is pending or running, looking every `interval` seconds."""
    while alive_jobs(run) != set():  # None: Slurm's controller may be restarting
        time.sleep(interval)


def cancel(run: RunFolder) -> int:
    """Cancel the run's pending and running jobs; return how many there were.

    Raises
    ------
    UserError : Slurm can't be asked, or does not obey.
    """
    alive = alive_jobs(run)
    if alive is None:
        raise UserError(f"squeue does not answer; nothing of {run.path} was cancelled. Try again when 'squeue' works.")
    _scancel(run, sorted(alive))
    return len(alive)


def _submit_stage(
    run: RunFolder, stage: Stage, tasks: Sequence[str], function: TaskFunction, dependency: str
) -> list[str]:
    """Submit the tasks as one job array (a single one as a plain job); return a job id for each."""
    executor = submitit.SlurmExecutor(folder=run.path / "slurm")
    executor.update_parameters(**_parameters(run, stage, dependency))
    attempts = [run.new_attempt(stage.name, task) for task in tasks]
    try:
        with executor.batch():
            submitted = [
                executor.submit(function, str(run.path), stage.name, task, attempt)
                for task, attempt in zip(tasks, attempts, strict=True)
            ]
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
        for task, attempt in zip(tasks, attempts, strict=True):
            run.attempt_folder(stage.name, task, attempt).rmdir()
        said = " ".join(str(error).replace("sbatch: error: ", "").split())
        raise UserError(
            f"Slurm refused the stage '{stage.name}': {said or 'sbatch failed without a word'}. What this command had "
            f"submitted was cancelled. Mend cluster.slurm in the config, then run the same command again."
        ) from None
    jobs = [job.job_id for job in submitted]
    run.record({"event": "submitted", "stage": stage.name, "tasks": list(tasks), "attempts": attempts, "jobs": jobs})
    log.info("submitted %s as %s", stage.name, _few(jobs))
    return jobs


def _parameters(run: RunFolder, stage: Stage, dependency: str) -> dict[str, Any]:
    """Return submitit's parameters for a stage; what the config leaves open is left to the cluster."""
    cluster: Cluster = run.config.cluster
    slurm = cluster.slurm
    further = {
        "kill-on-invalid-dep": "yes",
        **{key: value for key, value in slurm.sbatch.items() if value is not False},
    }
    parameters = {
        "job_name": f"{run.path.name}/{stage.name}",
        "partition": slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
        "constraint": slurm.constraint,
        "gres": slurm.gres if stage.gpu else None,
        "time": slurm.time_minutes,
        "mem": f"{round(slurm.mem_gb * 1024)}M" if slurm.mem_gb is not None else None,
        "cpus_per_task": cluster.threads,
        # Since Slurm 22.05 srun no longer takes the number of CPUs from its job.
        "srun_args": [f"--cpus-per-task={cluster.threads}"],
        "array_parallelism": slurm.array_parallelism,
        "signal_delay_s": min(WARNING, slurm.time_minutes * 6),
        "setup": [f"export OMP_NUM_THREADS={cluster.threads}", *slurm.setup],
        "dependency": dependency or None,
        "additional_parameters": further,
    }
    return {key: value for key, value in parameters.items() if value is not None}


def _conditions(stage: Stage, by_name: dict[str, Stage], jobs: dict[str, list[str]]) -> list[str]:
    """Return what a stage waits for, as Slurm writes it; `jobs` are those submitted so far."""
    conditions = []
    for name in stage.after:
        before = by_name[name]
        some_may_fail = before.required is not None and before.required < len(before.tasks)
        if name in jobs:
            array = jobs[name][0].partition("_")[0]
            conditions.append(f"{'afterany' if some_may_fail else 'afterok'}:{array}")
        if some_may_fail:
            # `afterany` also holds when Slurm cancels that stage for want of one before it: so wait for those as well.
            conditions += _conditions(before, by_name, jobs)
    return conditions


def _scancel(run: RunFolder, jobs: Sequence[str]) -> None:
    if not jobs:
        return
    # Recorded first: a task that is told to stop before it starts leaves no other word.
    run.record({"event": "cancelled", "jobs": list(jobs)})
    told = subprocess.run(["scancel", *jobs], capture_output=True, text=True)
    if told.returncode != 0:
        raise UserError(
            f"scancel failed ({' '.join(told.stderr.split())}); cancel these jobs of {run.path} yourself: "
            f"{' '.join(jobs)}."
        )


def _few(jobs: Collection[str]) -> str:
    """Write some of the ids, and whether there are more."""
    shown = sorted(jobs)[:4]
    return ", ".join(shown) + (", …" if len(jobs) > len(shown) else "")
