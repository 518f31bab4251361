"""Start an experiment's stages where the config says, show how they go, and say how it ended."""

import dataclasses
from collections.abc import Callable, Collection, Sequence

from rich.console import Console, Group, RenderableType

from distdnas_hpc import pipeline, study
from distdnas_hpc.cluster import local, slurm, submission
from distdnas_hpc.cluster.display import draw, progress_shown
from distdnas_hpc.cluster.queue import queue
from distdnas_hpc.cluster.resubmit import Resubmission, Wishes, resubmit
from distdnas_hpc.cluster.run_folder import STUDY, RunFolder
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.cluster.status import WENT_WRONG, TaskStatus, run_status
from distdnas_hpc.config import Config
from distdnas_hpc.data.prepare import check_raw
from distdnas_hpc.errors import UserError
from distdnas_hpc.places import day_name
from distdnas_hpc.report.weights_table import weights_table

SLURM_INTERVAL = 5.0
"""Seconds between looks at a run on Slurm; each asks squeue, whose controller serves the whole cluster."""


class UnfinishedError(Exception):
    """The stages ended, but not all of them finished.

    Attributes
    ----------
    wrong : the tasks that failed, diverged, were interrupted or got lost.
    """

    def __init__(self, wrong: Sequence[TaskStatus]) -> None:
        super().__init__(f"{len(wrong)} tasks went wrong")
        self.wrong = wrong


def launch(
    config: Config,
    choose: Callable[[Config], list[Stage]],
    console: Console,
    *,
    detach: bool,
    prepare: Callable[[Config], RunFolder] = RunFolder.prepare,
) -> RunFolder:
    """Run what is missing of some stages, with progress on `console`; return the finished run.

    Parameters
    ----------
    choose : gives the stages of a config: `pipeline.stages`, `preparation` or `cost_model`.
    detach : on Slurm, return when all is submitted.
    prepare : makes or opens the run folder.

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
    if config.prepared:
        check_prepared(config)
    if (config.run / "config.yaml").is_file():
        there = RunFolder(config.run)
        _refuse_if_busy(there, study.stages_of(there))
    run = prepare(config)
    whole = any(stage.name.endswith("aggregate") for stage in stages)
    if whole and (outdated := study.outdated(run)):
        aside = run.set_aside(outdated)
        console.print(
            f"Some results lack a day or a model that is there: they are made again, the old ones are in {aside}."
        )
    if on_slurm:
        try:
            jobs = submission.submit(run, stages, study.run_task)
        except KeyboardInterrupt:
            raise UnfinishedError([]) from None  # it has cancelled what it had submitted
        told = f"Submitted {jobs} tasks to Slurm" if jobs else "Nothing was submitted, every task is done"
        console.print(f"{told}. Look with: distdnas status {run.path}", highlight=False, soft_wrap=True)
        if detach:
            return run
        with progress_shown(run, stages, console, lambda: queue(run), SLURM_INTERVAL):
            slurm.wait(run)
    else:
        with progress_shown(run, stages, console, lambda: None, interval=0.5):
            if config.cluster.executor == "local":
                local.run_local(run, stages, config.cluster.workers, config.cluster.threads)
            else:
                local.run_inline(run, stages)
    if not all(stage.finished(run) for stage in stages):
        statuses = run_status(run, stages, queue(run))
        raise UnfinishedError([told for told in statuses if told.state in WENT_WRONG])
    if whole and study.outdated(run):
        return launch(config, choose, console, detach=detach, prepare=prepare)
    return run


def launch_study(config: Config, console: Console, *, detach: bool) -> RunFolder:
    """Run what is missing of a study and write its report, which shows what is there also where something went wrong.

    A search that diverged is a finding: it is not tried again, and what would come after it is left out.

    Raises
    ------
    UserError, UnfinishedError, KeyboardInterrupt : as `launch`, and where the config has no study.
    """
    try:
        launch(config, study.left, console, detach=detach, prepare=study.prepare)
    except UnfinishedError as error:
        wrong = [told for told in error.wrong if not (told.stage.endswith("search") and told.state == "diverged")]
        if wrong or not error.wrong:
            raise UnfinishedError(wrong) from None
    run = RunFolder(config.run)
    study.write_report(run)
    return run


def scripts(config: Config) -> list[tuple[str, Sequence[str], str]]:
    """Return what a launch on Slurm would submit now: of each job array the stage, the tasks and the sbatch script."""
    stages = pipeline.stages(config)
    if (config.run / "config.yaml").is_file():
        run = RunFolder.open(config)
        tasks = {stage.name: stage.missing(run) for stage in stages}
    else:
        check_raw(config.data)
        tasks = {stage.name: list(stage.tasks) for stage in stages}
    arrays = submission.plan(config, stages, tasks)
    written = submission.scripts(config, config.run, stages, arrays)
    return [(array.stage.name, array.tasks, script) for array, script in zip(arrays, written, strict=True)]


def mend(
    run: RunFolder,
    days: Collection[int] = (),
    min_days: int | None = None,
    mem_gb: float | None = None,
    minutes: int | None = None,
) -> Resubmission:
    """Submit again what went wrong of a run on Slurm; see `cluster.resubmit`.

    Parameters
    ----------
    days : to submit again no other days than these.
    min_days : the search may end with so many days from now on; missing ones beyond them are not submitted.

    Raises
    ------
    UserError : as `cluster.resubmit`; or such days are not searched.
    """
    config = run.config
    unknown = sorted(set(days) - set(config.search.days))
    if unknown:
        days_there = ", ".join(map(str, config.search.days))
        raise UserError(f"The run {run.path} has no day {unknown[0]}: it searches the days {days_there}.")
    loosened = []
    if min_days is not None and min_days != config.search.min_days:
        if min_days > len(config.search.days):
            raise UserError(f"--min-days {min_days} is more than the {len(config.search.days)} days that are searched.")
        search = config.search.model_copy(update={"min_days": min_days})
        config = config.model_copy(update={"search": search})
        of_study = (run.path / STUDY).is_dir()
        run = study.prepare(config) if of_study else RunFolder.prepare(config)
        loosened = [stage.name for stage in study.stages_of(run) if stage.name.endswith("search")]
    wishes = Wishes([day_name(day) for day in days], loosened, min_days is not None, mem_gb, minutes)
    return resubmit(run, study.to_mend(run), study.run_task, wishes, study.outdated(run))


def launch_day(config: Config, day: int, console: Console) -> RunFolder:
    """Search one day of a run in this process, with its progress, α and β on `console`; return the run.

    The task is the one that `launch` would run: equal files, and either goes on where the other was stopped. Where
    tasks run and when they write checkpoints is what the run folder's own config says, since other tasks may be at
    work on it. A day that is searched already is left alone.

    Raises
    ------
    UserError : the day is not one to be searched, the run is not prepared so far, or the task is at work already.
    UnfinishedError : the search failed or diverged.
    KeyboardInterrupt : stopped; its checkpoint is written.
    """
    if not (config.run / "config.yaml").is_file():
        raise UserError(f"The run {config.run} isn't there yet; prepare its data first: distdnas prepare CONFIG.")
    run = RunFolder.open(config)
    stages = {stage.name: stage for stage in pipeline.stages(run.config)}
    task = day_name(day)
    if "search" not in stages or task not in stages["search"].tasks:
        days = ", ".join(map(str, config.search.days))
        raise UserError(f"Day {day} is not to be searched (search.days: {days}); give one of these days.")
    for name, command in (("manifest", "prepare"), ("cost", "cost")):
        if name in stages and not stages[name].finished(run):
            raise UserError(f"The stage '{name}' of {run.path} is not done; do it first: distdnas {command} CONFIG.")
    search = dataclasses.replace(stages["search"], tasks=(task,), after=(), required=None)
    _refuse_if_busy(run, [search])
    with progress_shown(run, [search], console, lambda: None, interval=0.5, picture=_picture_of_a_search):
        local.run_inline(run, [search])
    if not search.finished(run):
        raise UnfinishedError(run_status(run, [search]))
    return run


def check_prepared(config: Config) -> None:
    """Look whether the run that a config takes its shards and cost importance from has them, and for the same ends.

    Raises
    ------
    UserError : it isn't there or not so far, or differs in what shards or cost importance depend on.
    """
    other = RunFolder(config.prepared or config.run)
    theirs = other.config
    parts = {
        "data": (theirs.data, config.data),
        "train.days": (theirs.train.days, config.train.days),
        "model": (theirs.model, config.model),
        "cost": (theirs.cost, config.cost),
    }
    differing = [name for name, (their, our) in parts.items() if their != our]
    if differing:
        raise UserError(
            f"'prepared' names {other.path}, whose config differs in {', '.join(differing)}; name a run that agrees, "
            "or leave it out."
        )
    made = [stage for stage in pipeline.stages(theirs) if stage.name in ("manifest", "cost")]
    missing = [stage.name for stage in made if not stage.finished(other)]
    if missing or not made:
        raise UserError(
            f"'prepared' names {other.path}, which has no finished stage {' and '.join(missing) or 'manifest'}; "
            "finish it first: distdnas prepare and distdnas cost."
        )


def _picture_of_a_search(statuses: Sequence[TaskStatus]) -> RenderableType:
    weights = [told.architecture for told in statuses if told.architecture]
    return Group(draw(statuses), *(weights_table(sides["alpha"], sides["beta"]) for sides in weights))


def _refuse_if_busy(run: RunFolder, stages: Sequence[Stage]) -> None:
    """Refuse to work on stages that are at work, before anything of the run is changed."""
    statuses = run_status(run, stages, queue(run))
    busy = [told for told in statuses if told.in_hand]
    if busy:
        names = ", ".join(f"{told.stage}/{told.task}" for told in busy[:3]) + (", …" if len(busy) > 3 else "")
        raise UserError(
            f"{len(busy)} tasks of {run.path} are running or queued already ({names}); wait for them "
            f"(distdnas status {run.path}) or stop them first."
        )
