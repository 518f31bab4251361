"""Start an experiment's stages where the config says, show how they go, and say how it ended."""

from collections.abc import Callable, Sequence

from rich.console import Console

from distdnas_hpc import pipeline
from distdnas_hpc.cluster import local, slurm
from distdnas_hpc.cluster.display import progress_shown
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.cluster.status import WENT_WRONG, TaskStatus, run_status
from distdnas_hpc.config import Config
from distdnas_hpc.data.prepare import check_raw
from distdnas_hpc.errors import UserError

SLURM_INTERVAL = 5.0
"""Seconds between looks at a run on Slurm; each asks squeue, whose controller serves the whole cluster."""


class UnfinishedError(Exception):
    """The stages ended, but not all of them finished.

    Attributes
    ----------
    wrong : the tasks that failed, were interrupted or got lost.
    """

    def __init__(self, wrong: Sequence[TaskStatus]) -> None:
        super().__init__(f"{len(wrong)} tasks went wrong")
        self.wrong = wrong


def launch(config: Config, choose: Callable[[Config], list[Stage]], console: Console, *, detach: bool) -> RunFolder:
    """Run what is missing of some stages, with progress on `console`; return the finished run.

    Parameters
    ----------
    choose : gives the stages of a config: `pipeline.stages`, `preparation` or `cost_model`.
    detach : on Slurm, return when all is submitted.

    Raises
    ------
    UserError : faulty raw data, a run folder of another config or with tasks at work, Slurm refuses; nothing is begun.
    UnfinishedError : a stage did not finish, or the user stopped while jobs were submitted, which cancels them.
    KeyboardInterrupt : stopped by the user; on this machine tasks are stopped first, on Slurm they go on.
    """
    on_slurm = config.cluster.executor == "slurm"
    if detach and not on_slurm:
        raise UserError(
            "--detach works with --cluster slurm only; on this machine, start the command in tmux or nohup."
        )
    stages = choose(config)
    if any(stage.name == "parse" for stage in stages):
        check_raw(config.data)
    if (config.run / "config.yaml").is_file():
        _refuse_if_busy(RunFolder(config.run))
    run = RunFolder.prepare(config)
    if on_slurm:
        try:
            jobs = slurm.submit(run, stages, pipeline.run_task)
        except KeyboardInterrupt:
            raise UnfinishedError([]) from None  # it has cancelled what it had submitted
        console.print(f"Submitted {jobs} tasks to Slurm. Look with: distdnas status {run.path}", highlight=False)
        if detach:
            return run
        with progress_shown(run, stages, console, lambda: slurm.alive_jobs(run), SLURM_INTERVAL):
            slurm.wait(run)
    else:
        with progress_shown(run, stages, console, lambda: None, interval=0.5):
            if config.cluster.executor == "local":
                local.run_local(run, stages, config.cluster.workers, config.cluster.threads)
            else:
                local.run_inline(run, stages)
    if not all(stage.finished(run) for stage in stages):
        statuses = run_status(run, stages, slurm.alive_jobs(run))
        raise UnfinishedError([told for told in statuses if told.state in WENT_WRONG])
    return run


def _refuse_if_busy(run: RunFolder) -> None:
    """Refuse to work on a run that is at work, before anything of it is changed."""
    statuses = run_status(run, pipeline.stages(run.config), slurm.alive_jobs(run))
    busy = [told for told in statuses if told.state == "running" or (told.state == "pending" and told.attempt)]
    if busy:
        names = ", ".join(f"{told.stage}/{told.task}" for told in busy[:3]) + (", …" if len(busy) > 3 else "")
        raise UserError(
            f"{len(busy)} tasks of {run.path} are running or queued already ({names}); wait for them "
            f"(distdnas status {run.path}) or stop them first."
        )
