"""Tasks become Slurm jobs, through submitit: arrays of a stage's tasks, each after those it waits for.

Slurm keeps the order (`--dependency`), the run folder keeps the truth: submitit's own pickled results are not read.
Jobs have the run folder as their working directory, by which those that nobody recorded are found.
"""

import logging
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit
from submitit.slurm.slurm import _make_sbatch_string

from distdnas_hpc.cluster.claim import only_submitter
from distdnas_hpc.cluster.request import Request, asked, setup, warning
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.slurm import all_jobs, few, scancel, unrecorded_jobs
from distdnas_hpc.cluster.snapshot import snapshot_folder, take_snapshot
from distdnas_hpc.cluster.stages import Stage, in_order
from distdnas_hpc.config import Config
from distdnas_hpc.errors import UserError

log = logging.getLogger(__name__)

TaskFunction = Callable[[str, str, str, int], None]
"""Runs one task, given run folder, stage, task and attempt; must be importable by the interpreter on the nodes."""

PATIENCE = 120.0
"""Seconds to wait for cancelled jobs to end."""

MAX_ARRAY_SIZE = 1001
"""Slurm's default of MaxArraySize, for when it can't be asked."""


@dataclass(frozen=True)
class Array:
    """Tasks of a stage that are submitted as one job array (a single one as a plain job); `parallel` run at a time."""

    stage: Stage
    tasks: tuple[str, ...]
    request: Request
    parallel: int


Jobs = dict[str, list[str]]
"""What later stages wait for: of each stage (and array) the ids of arrays just submitted, or of jobs alive before."""


def plan(
    config: Config,
    stages: Sequence[Stage],
    tasks: Mapping[str, Sequence[str]],
    request: Callable[[str, str], Request] | None = None,
) -> list[Array]:
    """Return the arrays of the given tasks of each stage, in order: of equal requests, none longer than Slurm allows.

    `array_parallelism` is for a stage: several arrays share it.
    """
    slurm = config.cluster.slurm
    longest = max_array_size()
    arrays = []
    for stage in in_order(stages):
        groups: dict[Request, list[str]] = {}
        for task in tasks.get(stage.name, ()):
            asked = request(stage.name, task) if request else Request(slurm.mem_gb, slurm.time_minutes)
            groups.setdefault(asked, []).append(task)
        parts = [
            (asked, tuple(group[start : start + longest]))
            for asked, group in groups.items()
            for start in range(0, len(group), longest)
        ]
        share = max(1, slurm.array_parallelism // max(1, len(parts)))
        arrays += [Array(stage, part, asked, share) for asked, part in parts]
    return arrays


def submit(run: RunFolder, stages: Sequence[Stage], function: TaskFunction) -> int:
    """Submit every missing task; return how many there were.

    Raises
    ------
    UserError : tasks of the run are running or queued already; Slurm isn't there, or refused.
    """
    with only_submitter(run) as cut_off:
        refuse_if_queued(run, cut_off)
        arrays = plan(run.config, stages, {stage.name: stage.missing(run) for stage in stages})
        return len(submit_arrays(run, stages, arrays, function, {}))


def refuse_if_queued(run: RunFolder, cut_off: bool) -> None:
    """Refuse to submit anything while jobs of the run are pending or running; otherwise as `claimed_jobs`."""
    alive = claimed_jobs(run, cut_off)
    if alive:
        raise UserError(
            f"{len(alive)} jobs of {run.path} are running or queued already ({few(alive)}); nothing was submitted. "
            f"Wait for them, or cancel them: distdnas cancel {run.path}"
        )


def claimed_jobs(run: RunFolder, cut_off: bool) -> set[str]:
    """Return the run's pending and running jobs, for the command that alone submits now.

    Where an earlier command was `cut_off`, jobs that it had submitted without recording them are cancelled first:
    nobody knows which tasks are theirs.

    Raises
    ------
    UserError : Slurm isn't there or does not answer, jobs of the scripts in slurm/ are at work, or the run is part of
        a study, whose ledger has to know all jobs.
    """
    if run.study is not None:
        raise UserError(
            f"{run.path} is a run of the study {run.study}, which submits its jobs; nothing was submitted. Submit what "
            f"is missing with: distdnas resubmit {run.study}"
        )
    missing = next((name for name in ("sbatch", "srun", "squeue") if shutil.which(name) is None), None)
    if missing:
        raise UserError(
            f"There is no {missing} on this machine; run the command on a login node of a Slurm cluster, or "
            "without Slurm (--cluster local)."
        )
    recorded, unrecorded = all_jobs(run, "nothing was submitted")
    if unrecorded and cut_off:
        scancel(run, sorted(unrecorded))
        until = time.monotonic() + PATIENCE
        while (left := unrecorded_jobs(run)) is None or left & unrecorded:
            if time.monotonic() > until:
                raise UserError(f"Cancelled jobs are slow to end ({few(unrecorded)}); try again when they are gone.")
            time.sleep(0.5)
    elif unrecorded:
        raise UserError(
            f"{len(unrecorded)} jobs of {run.path} are running or queued that distdnas did not submit "
            f"({few(unrecorded)}); nothing was submitted. Wait for them, or cancel them: distdnas cancel {run.path}"
        )
    return recorded


def max_array_size() -> int:
    """Return how many elements a job array may have here."""
    try:
        told = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    sizes = [line.partition("=")[2].strip() for line in told.splitlines() if line.startswith("MaxArraySize")]
    return max(1, int(sizes[0])) if sizes and sizes[0].isdigit() else MAX_ARRAY_SIZE


def submit_arrays(
    run: RunFolder,
    stages: Sequence[Stage],
    arrays: Sequence[Array],
    function: TaskFunction,
    alive: Mapping[str, list[str]],
) -> list[str]:
    """Submit the arrays, which are in order; return the id of each task's job.

    Tasks of a stage wait until all tasks before them are done (`afterok`), or have ended where fewer are required
    (`afterany`); Slurm cancels those that wait in vain. When sbatch refuses one, what this call has submitted is
    cancelled.

    Parameters
    ----------
    alive : of each stage the jobs that were submitted before and are pending or running.

    Raises
    ------
    UserError : Slurm refused.
    """
    code = take_snapshot(run.path)
    submitted: list[str] = []
    waited_for = {name: list(jobs) for name, jobs in alive.items()}
    try:
        for array in arrays:
            jobs = _submit(run, array, function, dependency(array.stage, stages, waited_for), code)
            submitted += jobs
            waited_for.setdefault(array.stage.name, []).append(jobs[0].partition("_")[0])
    except BaseException:
        scancel(run, submitted)
        raise
    return submitted


def scripts(config: Config, path: Path, stages: Sequence[Stage], arrays: Sequence[Array]) -> list[str]:
    """Return the sbatch script of each array.

    Job ids that the scripts wait for are not known yet: stages stand for them, as in afterok:<parse>.
    """
    written = []
    waited_for: Jobs = {}
    folder = path / "slurm"
    code = snapshot_folder(path)
    command = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(folder))}"
    for array in arrays:
        options = _parameters(config, path, array, dependency(array.stage, stages, waited_for), code)
        count = len(array.tasks) if len(array.tasks) > 1 else None
        written.append(_make_sbatch_string(command, folder, map_count=count, **options))
        waited_for[array.stage.name] = [f"<{array.stage.name}>"]
    return written


def dependency(stage: Stage, stages: Sequence[Stage], jobs: Mapping[str, list[str]]) -> str:
    """Return what a stage waits for, as Slurm writes it; '' for nothing. `jobs` are those before it."""
    by_name = {each.name: each for each in stages}
    return ",".join(dict.fromkeys(_conditions(stage, by_name, jobs)))


def _conditions(stage: Stage, by_name: Mapping[str, Stage], jobs: Mapping[str, list[str]]) -> list[str]:
    conditions = []
    for name in stage.after:
        before = by_name[name]
        some_may_fail = before.required is not None and before.required < len(before.tasks)
        if jobs.get(name):
            conditions.append(f"{'afterany' if some_may_fail else 'afterok'}:{':'.join(jobs[name])}")
        if some_may_fail:
            # `afterany` also holds when Slurm cancels that stage for want of one before it: so wait for those as well.
            conditions += _conditions(before, by_name, jobs)
    return conditions


def _submit(run: RunFolder, array: Array, function: TaskFunction, after: str, code: Path) -> list[str]:
    """Submit an array; return a job id for each task."""
    stage, tasks = array.stage.name, array.tasks
    executor = submitit.SlurmExecutor(folder=run.path / "slurm")
    executor.update_parameters(**_parameters(run.config, run.path, array, after, code))
    attempts = [run.new_attempt(stage, task) for task in tasks]
    try:
        with executor.batch():
            submitted = [
                executor.submit(function, str(run.path), stage, task, attempt)
                for task, attempt in zip(tasks, attempts, strict=True)
            ]
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
        for task, attempt in zip(tasks, attempts, strict=True):
            run.attempt_folder(stage, task, attempt).rmdir()
        said = " ".join(str(error).replace("sbatch: error: ", "").split())
        raise UserError(
            f"Slurm refused the stage '{stage}': {said or 'sbatch failed without a word'}. What this command had "
            f"submitted was cancelled. Mend cluster.slurm in the config, then run the same command again."
        ) from None
    jobs = [job.job_id for job in submitted]
    asked = {"mem_gb": array.request.mem_gb, "minutes": array.request.minutes}
    run.record(
        {"event": "submitted", "stage": stage, "tasks": list(tasks), "attempts": attempts, "jobs": jobs, **asked}
    )
    log.info("submitted %s as %s", stage, few(jobs))
    return jobs


def _parameters(config: Config, path: Path, array: Array, after: str, code: Path) -> dict[str, Any]:
    """Return submitit's parameters for an array."""
    options = asked(config, array.request, gpu=array.stage.gpu)
    parameters = {
        "job_name": f"{path.name}/{array.stage.name}",
        "cpus_per_task": options.pop("cpus-per-task"),
        # Since Slurm 22.05 srun no longer takes the number of CPUs from its job.
        "srun_args": [f"--cpus-per-task={config.cluster.threads}"],
        "array_parallelism": array.parallel,
        "time": options.pop("time"),
        "signal_delay_s": warning(array.request),
        "setup": setup(config, code),
        "additional_parameters": {"kill-on-invalid-dep": "yes", "requeue": True, "chdir": path, **options},
    }
    return parameters | ({"dependency": after} if after else {})
