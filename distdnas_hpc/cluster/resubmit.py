"""Submit again what went wrong, and what can no longer start because of it; leave alone what is done or at work."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from distdnas_hpc.cluster.claim import only_submitter
from distdnas_hpc.cluster.queue import queue
from distdnas_hpc.cluster.request import Request
from distdnas_hpc.cluster.requeue import NEAR_TIME_LIMIT
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.slurm import scancel
from distdnas_hpc.cluster.stages import Stage, in_order
from distdnas_hpc.cluster.status import KILLED, TaskStatus, run_status, submitted_jobs
from distdnas_hpc.cluster.submission import TaskFunction, claimed_jobs, plan, submit_arrays
from distdnas_hpc.errors import UserError

GROWTH = 2
"""How many times the memory or the time a task gets that had too little."""

Task = tuple[str, str]
"""Stage and name."""


@dataclass(frozen=True)
class Wishes:
    """What may be asked of `resubmit`.

    Attributes
    ----------
    only : names of tasks, e.g. day_07: of the stages that have such tasks no others go again.
    loosened : stages that may now go without more of their tasks than before: what waits for them is replaced.
    enough : don't submit what is missing of a stage of which enough is done or at work.
    mem_gb, minutes : what tasks that went wrong ask for, instead of what they had.
    """

    only: Collection[str] = ()
    loosened: Collection[str] = ()
    enough: bool = False
    mem_gb: float | None = None
    minutes: int | None = None


@dataclass(frozen=True)
class Resubmission:
    """What `resubmit` did.

    Attributes
    ----------
    again : tasks that had gone wrong and were submitted, with what each asked for.
    others : further tasks that were submitted: they wait for those, or never got this far.
    replaced : how many queued jobs were cancelled so that others wait for the new ones.
    renewed : tasks whose results lacked something that is there by now; these were set aside.
    at_work : tasks that were left alone: running or queued.
    left_out : tasks that can't start, or that were not wished for.
    """

    again: dict[Task, Request]
    others: list[Task]
    replaced: int
    renewed: list[Task]
    at_work: list[Task]
    left_out: list[Task]

    def sentences(self) -> list[str]:
        """Return what was done, a sentence each."""
        told = []
        if self.renewed:
            told.append(f"Results that lack a day done since are made again: {_names(self.renewed)}.")
        for task, asked in self.again.items():
            memory = f", {asked.mem_gb:g} GB" if asked.mem_gb is not None else ""
            told.append(f"Submitted again: {'/'.join(task)} ({asked.minutes} minutes{memory}).")
        if self.others:
            told.append(f"Submitted to follow: {_names(self.others)}.")
        if self.replaced:
            told.append(f"{self.replaced} queued jobs were replaced, so that they wait for the new ones.")
        if not self.again and not self.others:
            told.append("Nothing was submitted.")
        if self.at_work:
            told.append(f"Running or queued already, left alone: {_names(self.at_work)}.")
        if self.left_out:
            told.append(f"Left out, for lack of what comes before or as you wished: {_names(self.left_out)}.")
        if not self.again and not self.others and not self.at_work and not self.left_out:
            told.append("Every task is done.")
        return told


def _names(tasks: Sequence[Task]) -> str:
    shown = ", ".join("/".join(task) for task in tasks[:6])
    return f"{shown} and {len(tasks) - 6} more" if len(tasks) > 6 else shown


class _View:
    """Who is at work on a run, and what is idle, at one moment."""

    def __init__(self, run: RunFolder, stages: Sequence[Stage], alive: set[str]) -> None:
        self.alive = alive
        self.status: dict[Task, TaskStatus] = {
            (told.stage, told.task): told for told in run_status(run, stages, alive) if not told.has_result
        }
        self.at_work = [task for task, told in self.status.items() if told.in_hand]
        self.idle = [task for task in self.status if task not in set(self.at_work)]
        recorded = submitted_jobs(run)
        self.jobs: dict[str, list[str]] = {}
        for (stage, _, _), job in recorded.items():
            if job in alive:
                self.jobs.setdefault(stage, []).append(job)

    def chosen(self, stages: Sequence[Stage], wishes: Wishes) -> list[Task]:
        """Return the idle tasks that are wished for and can start once those before them have ended well."""
        chosen: list[Task] = []
        hopeless: set[str] = set()
        for stage in in_order(stages):
            idle = [task for name, task in self.idle if name == stage.name]
            required = stage.required or len(stage.tasks)
            if wishes.enough and len(stage.tasks) - len(idle) >= required < len(stage.tasks):
                wanted = []
            elif set(wishes.only) & set(stage.tasks):
                wanted = [task for task in idle if task in wishes.only]
            else:
                wanted = idle
            if not hopeless.isdisjoint(stage.after):
                wanted = []
            if len(stage.tasks) - len(idle) + len(wanted) < required:
                hopeless.add(stage.name)
            chosen += [(stage.name, task) for task in wanted]
        return chosen


def resubmit(
    run: RunFolder, stages: Sequence[Stage], function: TaskFunction, wishes: Wishes, renew: Sequence[Task] = ()
) -> Resubmission:
    """Submit the tasks that have no result and are not at work, in their order.

    A task whose job ran out of memory or time asks for twice as much, up to `max_mem_gb` and `max_time_minutes`; one
    that was killed may have run out of memory and asks for more, too. Queued jobs of later stages are replaced, so that
    they wait for the new jobs too. Done twice, the second time does nothing.

    Parameters
    ----------
    renew : tasks whose results lack something that is there by now; set aside, unless some of them are at work.

    Raises
    ------
    UserError : Slurm does not answer or refuses; another command, or jobs of the scripts in slurm/, are at work on the
        run; a task had all the memory or time that it may get without being told. Nothing was submitted then.
    """
    with only_submitter(run) as cut_off:
        view = _View(run, stages, claimed_jobs(run, cut_off))
        renewed = list(renew) if set(renew).isdisjoint(view.at_work) else []
        if renewed:
            run.set_aside(renewed)
            view = _View(run, stages, view.alive)
        chosen = view.chosen(stages, wishes)
        asked = _requests(run, [view.status[task] for task in chosen], wishes)
        changed = {stage for stage, _ in chosen} | set(wishes.loosened)
        later = _after(stages, changed, {stage for stage, _ in view.status})
        queued = sorted(job for name in later for job in view.jobs.get(name, ()))
        if queued:
            scancel(run, queued, "--state=PENDING")
            view = _View(run, stages, set(queue(run) or ()))
            chosen = view.chosen(stages, wishes)
        slurm = run.config.cluster.slurm
        usual = Request(slurm.mem_gb, slurm.time_minutes)
        tasks = {stage.name: [task for name, task in chosen if name == stage.name] for stage in stages}
        arrays = plan(run.config, stages, tasks, lambda stage, task: asked.get((stage, task), usual))
        submit_arrays(run, stages, arrays, function, view.jobs)
    return Resubmission(
        {task: asked[task] for task in chosen if task in asked},
        [task for task in chosen if task not in asked],
        len(set(queued) - view.alive),
        renewed,
        view.at_work,
        [task for task in view.idle if task not in set(chosen)],
    )


def _requests(run: RunFolder, statuses: Iterable[TaskStatus], wishes: Wishes) -> dict[Task, Request]:
    """Return what each task that went wrong is to ask for; those that want more than the limits are refused."""
    slurm = run.config.cluster.slurm
    before = _earlier_requests(run)
    requests, refused = {}, []
    for told in statuses:
        if not told.went_wrong:
            continue
        had = before.get(told.job or "", Request(slurm.mem_gb, slurm.time_minutes))
        mem_gb, minutes = wishes.mem_gb or had.mem_gb, wishes.minutes or had.minutes
        if told.state == "out of memory" and wishes.mem_gb is None:
            if had.mem_gb is None:
                refused.append(f"{told.stage}/{told.task} ran out of the cluster's default memory (give --mem-gb)")
            elif had.mem_gb >= (slurm.mem_limit or 0):
                refused.append(f"{told.stage}/{told.task} ran out of {had.mem_gb:g} GB of memory (give more: --mem-gb)")
            else:
                mem_gb = min(GROWTH * had.mem_gb, slurm.mem_limit or 0)
        if told.reason.endswith(KILLED) and wishes.mem_gb is None and had.mem_gb is not None:  # a guess refuses nothing
            mem_gb = max(had.mem_gb, min(GROWTH * had.mem_gb, slurm.mem_limit or 0))
        if (told.state == "timed out" or NEAR_TIME_LIMIT in told.reason) and wishes.minutes is None:
            if had.minutes >= slurm.time_limit:
                refused.append(f"{told.stage}/{told.task} ran out of its {had.minutes} minutes (give more: --time)")
            else:
                minutes = min(GROWTH * had.minutes, slurm.time_limit)
        requests[told.stage, told.task] = Request(mem_gb, minutes)
    if refused:
        raise UserError(
            f"Not even the most that may be asked for without being told was enough: {'; '.join(refused)}. Nothing was "
            "submitted. cluster.slurm.max_mem_gb and max_time_minutes set these limits."
        )
    return requests


def _earlier_requests(run: RunFolder) -> Mapping[str, Request]:
    """Return what each job asked for, from the ledger."""
    slurm = run.config.cluster.slurm
    return {
        job: Request(event.get("mem_gb", slurm.mem_gb), event.get("minutes", slurm.time_minutes))
        for event in run.ledger()
        if event["event"] == "submitted"
        for job in event["jobs"]
    }


def _after(stages: Sequence[Stage], changed: Collection[str], undone: Collection[str]) -> set[str]:
    """Return the names of the undone stages that wait for changed ones, directly or through others like them."""
    later: set[str] = set()
    for stage in in_order(stages):
        if stage.name in undone and not (later | set(changed)).isdisjoint(stage.after):
            later.add(stage.name)
    return later
