"""What the scripts in slurm/ need of Python: what to submit, and stages inside of one job."""

import dataclasses
import shlex
import sys
from collections.abc import Collection

from distdnas_hpc import pipeline
from distdnas_hpc.cluster import local
from distdnas_hpc.cluster.claim import only_submitter
from distdnas_hpc.cluster.execute import Stopped
from distdnas_hpc.cluster.request import Request, asked, setup, warning
from distdnas_hpc.cluster.requeue import must_requeue, requeue
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.snapshot import take_snapshot
from distdnas_hpc.cluster.submission import refuse_if_queued
from distdnas_hpc.config import Config
from distdnas_hpc.data.prepare import check_raw
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import write_text


def lines_for_launch_script(config: Config) -> list[str]:
    """Make the run folder with its RUN/slurm/setup.sh and return what slurm/launch.sh reads, a word a line.

    Lines: run folder; 'prepare' or ''; days to search, as sbatch's --array takes them, or ''; 'finish' or ''; how it
    waits for the days, afterok or afterany; gres of the jobs, or ''; then the options of each.

    Raises
    ------
    UserError : jobs of the run are running or queued, Slurm isn't there, the raw data or the run folder is at fault.
    """
    if config.strategy not in pipeline.BY_DAY:
        raise UserError(
            f"The scripts in slurm/ search each day by a task of its own, which strategy '{config.strategy}' does not; "
            "submit it with: distdnas launch CONFIG"
        )
    check_raw(config.data)
    run = RunFolder.prepare(config)
    with only_submitter(run) as cut_off:
        refuse_if_queued(run, cut_off)
        lines = [f"export DISTDNAS_PYTHON={shlex.quote(sys.executable)}", *setup(config, take_snapshot(run.path))]
        write_text(run.path / "slurm/setup.sh", "\n".join([*lines, ""]))
    missing = {stage.name: stage.missing(run) for stage in pipeline.stages(config)}
    before = [stage.name for stage in [*pipeline.preparation(config), *pipeline.cost_model(config)]]
    days = ",".join(str(int(task.removeprefix("day_"))) for task in missing["search"])
    needed = config.search.min_days or len(config.search.days)
    slurm = config.cluster.slurm
    request = Request(slurm.mem_gb, slurm.time_minutes)
    options = asked(config, request, gpu=False) | {"signal": f"USR2@{warning(request)}", "chdir": run.path}
    return [
        str(run.path),
        "prepare" if any(missing[name] for name in before) else "",
        f"{days}%{slurm.array_parallelism}" if days else "",
        "finish" if any(missing[name] for name in missing if name not in (*before, "search")) else "",
        "afterok" if needed == len(config.search.days) else "afterany",
        slurm.gres or "",
        *(f"--{key}" if value is True else f"--{key}={value}" for key, value in options.items()),
    ]


def run_stages_in_job(run: RunFolder, names: Collection[str], workers: int) -> bool:
    """Run what is missing of these stages, some tasks at a time; return whether all are finished.

    Where the job must end too early, the tasks stop in order and it is queued again.
    """
    chosen = [stage for stage in pipeline.stages(run.config) if stage.name in names]
    within = [dataclasses.replace(stage, after=tuple(set(stage.after) & set(names))) for stage in chosen]
    try:
        local.run_local(run, within, workers, run.config.cluster.threads)
    except Stopped as stopped:
        if must_requeue(stopped.near_time_limit):
            requeue(run.config)
        return False
    return all(stage.finished(run) for stage in chosen)
