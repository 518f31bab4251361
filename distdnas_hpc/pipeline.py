"""The experiment as stages of tasks, from raw days to the report (DESIGN §1).

    parse ─ merge ─ encode ─ manifest ─┬─ search ─ aggregate ─┬─ train ─────┬─ report
                               cost ───┘                      └─ recurring ─┘

What the tasks of a stage do stands in `tasks`.
"""

from distdnas_hpc import tasks
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.config import Config
from distdnas_hpc.places import WHOLE, day_name, days_of
from distdnas_hpc.train.candidates import candidates, recurring

BY_DAY = ("distdnas", "distributed", "fresh")
"""Strategies that search each day by a task of its own."""


def preparation(config: Config) -> list[Stage]:
    """Return the stages that turn raw days into shards."""
    days = tuple(day_name(day) for day in days_of(config))
    return [
        Stage("parse", days, tasks.parse),
        Stage("merge", (WHOLE,), tasks.merge, after=("parse",)),
        Stage("encode", days, tasks.encode, after=("merge",)),
        Stage("manifest", (WHOLE,), tasks.manifest, after=("encode",)),
    ]


def cost_model(config: Config) -> list[Stage]:
    """Return the stage that takes each module's cost importance; it needs no data."""
    return [Stage("cost", (WHOLE,), tasks.cost, gpu=True)]


def stages(config: Config) -> list[Stage]:
    """Return the stages of an experiment, in order; its strategy decides what is searched, if anything.

    A run that uses another's shards and cost importance (`prepared` in its config) doesn't make them.
    """
    searched = tuple(day_name(day) for day in config.search.days)
    required = config.search.min_days
    if config.strategy == "one_shot":
        searched, required = (WHOLE,), None
    models = tuple(candidate.task for candidate in candidates(config))
    again = tuple(candidate.task for candidate in recurring(config))
    made = [] if config.prepared else [*preparation(config), *cost_model(config)]
    after = () if config.prepared else ("manifest", "cost")
    search = [Stage("search", searched, tasks.search, after=after, required=required, gpu=True)]
    return [
        *made,
        *(search if config.strategy != "supernet" else []),
        Stage("aggregate", (WHOLE,), tasks.aggregate, after=("search",) if config.strategy != "supernet" else after),
        Stage("train", models, tasks.train, after=("aggregate",), gpu=True),
        *([Stage("recurring", again, tasks.recurring, after=("aggregate",), gpu=True)] if again else []),
        Stage("report", (WHOLE,), tasks.report, after=("train", "recurring") if again else ("train",)),
    ]


def outdated(run: RunFolder) -> list[tuple[str, str]]:
    """Return the tasks (stage, name) whose results lack what is there now.

    A day may be searched after the aggregate was made, where `search.min_days` let the run go on without it; baselines
    don't depend on it. A report may be of other models than the config names.
    """
    known = {stage.name: stage for stage in stages(run.config)}
    found = []
    if run.config.strategy in BY_DAY and run.is_done("aggregate", WHOLE):
        searched = {int(task.removeprefix("day_")) for task in known["search"].tasks if run.is_done("search", task)}
        if searched != set(run.result("aggregate", WHOLE)["days"]):
            found = [
                ("aggregate", WHOLE),
                *(
                    (stage, task)
                    for stage in ("train", "recurring")
                    if stage in known
                    for task in known[stage].tasks
                    if task.startswith("distdnas")
                ),
            ]
    models = [candidate.task for candidate in candidates(run.config)]
    if found or (run.is_done("report", WHOLE) and run.result("report", WHOLE).get("models") != models):
        found.append(("report", WHOLE))
    return found
