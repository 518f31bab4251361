"""The experiment as stages of tasks, from raw days to the report (DESIGN §1).

    parse ─ merge ─ encode ─ manifest ─┬─ search ─ aggregate ─┬─ train ─────┬─ report
                               cost ───┘                      └─ recurring ─┘

Every task reads files and writes files, so it runs anywhere that sees the run folder. Functions import what they need
when they run: listing a run's stages must not wait for torch.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distdnas_hpc.cluster.execute import execute
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage, Work
from distdnas_hpc.config import Config
from distdnas_hpc.config.train import BASELINES
from distdnas_hpc.errors import DivergedError, UserError
from distdnas_hpc.storage import read_yaml, write_yaml
from distdnas_hpc.train.candidates import DISTDNAS, Candidate, architecture_file, candidates, recurring

if TYPE_CHECKING:
    import torch

    from distdnas_hpc.nn.architecture import Architecture
    from distdnas_hpc.search.aggregate import Aggregate

log = logging.getLogger(__name__)

WHOLE = "all"
"""Name of the task of a stage that has one."""
BY_DAY = ("distdnas", "distributed", "fresh")
"""Strategies that search each day by a task of its own."""


def preparation(config: Config) -> list[Stage]:
    """Return the stages that turn raw days into shards."""
    days = tuple(day_name(day) for day in _days(config))
    return [
        Stage("parse", days, _parse),
        Stage("merge", (WHOLE,), _merge, after=("parse",)),
        Stage("encode", days, _encode, after=("merge",)),
        Stage("manifest", (WHOLE,), _manifest, after=("encode",)),
    ]


def cost_model(config: Config) -> list[Stage]:
    """Return the stage that takes each module's cost importance; it needs no data."""
    return [Stage("cost", (WHOLE,), _cost, gpu=True)]


def stages(config: Config) -> list[Stage]:
    """Return the stages of an experiment, in order; its strategy decides what is searched, if anything.

    A run that uses another's shards and cost importance (`prepared` in its config) doesn't make them. The report shows
    days and their mean, so only the strategies that have them get one.
    """
    searched = tuple(day_name(day) for day in config.search.days)
    required = config.search.min_days
    if config.strategy == "one_shot":
        searched, required = (WHOLE,), None
    models = tuple(candidate.task for candidate in candidates(config))
    again = tuple(candidate.task for candidate in recurring(config))
    made = [] if config.prepared else [*preparation(config), *cost_model(config)]
    after = () if config.prepared else ("manifest", "cost")
    search = [Stage("search", searched, _search, after=after, required=required, gpu=True)]
    report = [Stage("report", (WHOLE,), _report, after=("train", "recurring") if again else ("train",))]
    return [
        *made,
        *(search if config.strategy != "supernet" else []),
        Stage("aggregate", (WHOLE,), _aggregate, after=("search",) if config.strategy != "supernet" else after),
        Stage("train", models, _train, after=("aggregate",), gpu=True),
        *([Stage("recurring", again, _recurring, after=("aggregate",), gpu=True)] if again else []),
        *(report if config.strategy in BY_DAY else []),
    ]


def prepared_folder(run: RunFolder) -> Path:
    """Return where a run's shards and their manifest are."""
    return (run.config.prepared or run.path) / "prepared"


def cost_folder(run: RunFolder) -> Path:
    """Return where a run's cost importance is."""
    return (run.config.prepared or run.path) / "cost" / WHOLE


def run_task(run: str, stage: str, task: str, attempt: int) -> None:
    """Run one task of a run folder in this process; what every executor calls, in the end."""
    folder = RunFolder(Path(run))
    known = {(known.name, name): known for known in stages(folder.config) for name in known.tasks}
    if (stage, task) not in known:
        raise UserError(f"The run {run} has no task {stage}/{task}; see 'distdnas status {run}'.")
    execute(folder, known[stage, task], task, attempt)


def export(run: RunFolder, name: str | None, out: Path, *, onnx: bool = False) -> str:
    """Write a trained model's folder (`serve.model_folder`), and return the model's title.

    Parameters
    ----------
    name : of its train task; None for the discovered network, with the first θ and M that is trained.

    Raises
    ------
    UserError : no such model is trained, `out` exists, or `onnx` is asked for and its packages are missing.
    """
    from distdnas_hpc.data.manifest import Manifest
    from distdnas_hpc.serve.model_folder import export_model
    from distdnas_hpc.train.models import title

    config = run.config
    known = [*candidates(config), *(Candidate(baseline, baseline) for baseline in BASELINES)]
    trained = [each for each in known if (run.task_folder("train", each.task) / "model.pt").is_file()]
    chosen = next((each for each in trained if each.task == name or (name is None and each.model == DISTDNAS)), None)
    if chosen is None:
        names = ", ".join(dict.fromkeys(each.task for each in trained)) or "none"
        raise UserError(f"The run {run.path} has no trained model {name or DISTDNAS}; trained: {names}.")
    manifest = Manifest.load(prepared_folder(run), config.data)
    trained_in = run.task_folder("train", chosen.task)
    export_model(config, chosen, _architecture(run, chosen), manifest, trained_in, out, onnx=onnx)
    return title(chosen, config.strategy)


def _architecture(run: RunFolder, candidate: Candidate) -> "Architecture | None":
    """Return what the search found for a candidate's θ; None for a baseline."""
    from distdnas_hpc.nn.architecture import Architecture

    if candidate.theta is None:
        return None
    return Architecture.from_dict(read_yaml(run.task_folder("aggregate", WHOLE) / architecture_file(candidate.theta)))


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


def models(config: Config) -> dict[str, Any]:
    """Tell what every model costs, from what the run folder has by now, if there is one; no table is allocated.

    Returns
    -------
    dict with models (those of `train.model_costs` and parameters, tables included; None where nothing says how many
    rows they have), table_rows, and notes, sentences for people.
    """
    from dataclasses import asdict

    from distdnas_hpc.nn.architecture import Architecture
    from distdnas_hpc.train.model_costs import is_the_papers, model_costs

    files = {theta: config.run / "aggregate" / WHOLE / architecture_file(theta) for theta in config.search.theta}
    found = {theta: Architecture.from_dict(read_yaml(path)) for theta, path in files.items() if path.is_file()}
    rows, tables = _table_rows(config)
    per_row = config.model.dim_s
    costs = [
        {**asdict(cost), "parameters": None if rows is None else cost.interaction_parameters + rows * per_row}
        for cost in model_costs(config, found)
    ]
    notes = [tables]
    if len(found) < len(files):
        notes.append("The discovered network is missing: search and aggregate the days first.")
    if not is_the_papers(config):
        notes.append("Dimensions or columns are not the paper's, so Table I's numbers are not beside them.")
    return {"models": costs, "table_rows": rows, "notes": notes}


def _table_rows(config: Config) -> tuple[int | None, str]:
    """Return the rows of all embedding tables, and a sentence that says where they come from."""
    from distdnas_hpc.data.criteo_terabyte import CARDINALITIES
    from distdnas_hpc.data.manifest import MANIFEST, Manifest

    prepared = config.run / "prepared"
    if (prepared / MANIFEST).is_file():
        rows = sum(Manifest.load(prepared, config.data).table_sizes)
        return rows, f"Params include {rows:,} embedding rows of {prepared}."
    if config.data.schema_.sparse == len(CARDINALITIES):
        rows = sum(min(values + 1, config.data.max_rows) for values in CARDINALITIES)
        return rows, f"Params include {rows:,} embedding rows: Criteo Terabyte's, as nothing is prepared yet."
    return None, "Params need the data: prepare it first."


def _parse(work: Work) -> dict[str, Any]:
    """Turn the raw text of a day into shards."""
    from distdnas_hpc.data.prepare import parse_day

    config, day = work.run.config, _day(work)
    prepared = prepared_folder(work.run)
    return parse_day(config.data, day, work.folder, prepared, work.progress, training=day in config.train.days)


def _merge(work: Work) -> dict[str, Any]:
    """Make the id maps and the dense statistics of the training days."""
    from distdnas_hpc.data.prepare import merge_days

    config = work.run.config
    parsed = {day: work.run.task_folder("parse", day_name(day)) for day in _days(config)}
    return merge_days(config.data, config.train.days, parsed, prepared_folder(work.run))


def _encode(work: Work) -> dict[str, Any]:
    """Tell what the codes in a day's shards mean."""
    from distdnas_hpc.data.prepare import encode_day

    parsed = work.run.task_folder("parse", work.task)
    return encode_day(work.run.config.data, _day(work), parsed, prepared_folder(work.run), work.progress)


def _manifest(work: Work) -> dict[str, Any]:
    """Name every file: from here on the data is complete, and the counts that ids were chosen by can go."""
    from distdnas_hpc.data.prepare import discard_counts, write_manifest

    config = work.run.config
    encoded = {day: work.run.result("encode", day_name(day)) for day in _days(config)}
    result = write_manifest(config.data, encoded, prepared_folder(work.run))
    for day in _days(config):
        discard_counts(work.run.task_folder("parse", day_name(day)))
    return result


def _cost(work: Work) -> dict[str, Any]:
    """Fit the cost model and take each module's importance."""
    from distdnas_hpc.search.cost import cost_importance

    config = work.run.config
    schema = config.data.schema_
    importance = cost_importance(config, schema.dense, schema.sparse, _device(config), work.progress)
    return {"samples": config.cost.samples, **importance.to_dict()}


def _search(work: Work) -> dict[str, Any]:
    """Search one day, or all of them in one go."""
    from distdnas_hpc.data.manifest import Manifest
    from distdnas_hpc.search.cost import CostImportance
    from distdnas_hpc.search.day import search_day

    config = work.run.config
    importance = CostImportance.from_dict(read_yaml(cost_folder(work.run) / "result.yaml"))
    manifest = Manifest.load(prepared_folder(work.run), config.data)
    day = config.search.days if work.task == WHOLE else _day(work)
    return search_day(config, day, manifest, importance, work.folder, _device(config), work.progress)


def _aggregate(work: Work) -> dict[str, Any]:
    """Average the finished days and keep what passes each θ; of the supernet, keep everything."""
    from distdnas_hpc.nn.architecture import Architecture
    from distdnas_hpc.search.aggregate import aggregate, discretize

    config, settings = work.run.config, work.run.config.search
    if config.strategy == "supernet":
        for theta in settings.theta:
            full = Architecture.full(config.model.blocks).to_dict()
            write_yaml(work.folder / architecture_file(theta), {"theta": theta, **full})
        return {"days": []}
    if config.strategy == "one_shot":
        found = work.run.task_folder("search", WHOLE) / "architecture.yaml"
        mean = replace(aggregate({settings.days[-1]: found}, 1), days=settings.days)
    else:
        mean = _mean_of_days(work.run)
    write_yaml(work.folder / "aggregate.yaml", mean.to_dict())
    for theta in settings.theta:
        architecture = discretize(mean.alpha, mean.beta, theta)
        write_yaml(work.folder / architecture_file(theta), {"theta": theta, **architecture.to_dict()})
        log.info("mean of days %s, θ = %g: %s", list(mean.days), theta, architecture.to_dict())
    return {"days": list(mean.days)}


def _mean_of_days(run: RunFolder) -> "Aggregate":
    """Average the days whose search is finished."""
    from distdnas_hpc.search.aggregate import aggregate

    settings = run.config.search
    done = [day for day in settings.days if run.is_done("search", day_name(day))]
    files = {day: run.task_folder("search", day_name(day)) / "architecture.yaml" for day in done}
    return aggregate(files, settings.min_days or len(settings.days))


def _train(work: Work) -> dict[str, Any]:
    """Train one model from scratch, and test it."""
    return _fit(work, candidates(work.run.config), recurring=False)


def _recurring(work: Work) -> dict[str, Any]:
    """Train one model from scratch, and test it on each day before training on it."""
    return _fit(work, recurring(work.run.config), recurring=True)


def _fit(work: Work, known: Sequence[Candidate], *, recurring: bool) -> dict[str, Any]:
    """Train and test one of the known models; a loss that diverges is a result too, so that the others have one."""
    import torch

    from distdnas_hpc.data.manifest import Manifest
    from distdnas_hpc.nn.macs import network_cost
    from distdnas_hpc.train.models import build_network, title
    from distdnas_hpc.train.trainer import train_model

    config = work.run.config
    device = _device(config)
    manifest = Manifest.load(prepared_folder(work.run), config.data)
    dense, sparse = len(manifest.dense_columns), len(manifest.sparse_columns)
    candidate = next(each for each in known if each.task == work.task)
    architecture = _architecture(work.run, candidate)

    def build() -> torch.nn.Module:
        return build_network(candidate, config, dense, sparse, architecture)

    cost = network_cost(build, dense, sparse, config.model.dim_s)
    seed = config.seed_of("train", work.task)
    told = {
        "title": title(candidate, config.strategy),
        "model": candidate.model,
        "theta": candidate.theta,
        "copies": candidate.copies,
        "macs": cost.macs,
        "interaction_parameters": cost.parameters,
        "embedding_parameters": sum(manifest.table_sizes) * config.model.dim_s,
    }
    try:
        result = train_model(config, build, manifest, seed, work.folder, device, work.progress, recurring=recurring)
    except DivergedError as error:
        log.warning("%s", error)
        return {**told, "state": "diverged", "reason": str(error)}
    return {**told, "state": "done", **result}


def _report(work: Work) -> dict[str, Any]:
    """Compare the models' scores, and write report.html."""
    from distdnas_hpc.report.differences import write_differences
    from distdnas_hpc.report.page import write_report

    models = [candidate.task for candidate in candidates(work.run.config)]
    write_differences(work.run.path, models, work.folder)
    return {"report": str(write_report(work.run.path)), "models": models}


def _days(config: Config) -> list[int]:
    """Return the days that are searched, trained on or tested."""
    return sorted({*config.search.days, *config.train.days, config.train.test_day})


def day_name(day: int) -> str:
    """Return the name of the tasks of a day."""
    return f"day_{day:02d}"


def _day(work: Work) -> int:
    return int(work.task.removeprefix("day_"))


def _device(config: Config) -> "torch.device":
    """Choose the device and tell torch the task's threads and precision, on which sums depend."""
    import torch

    torch.set_num_threads(config.cluster.threads)
    torch.backends.cuda.matmul.allow_tf32 = config.optimizer.precision == "tf32"
    name = config.cluster.device
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "cluster.device is 'cuda' but torch sees no CUDA device; set cluster.slurm.gres so that tasks get one, "
            "install the torch build for this GPU, or set cluster.device to 'auto'."
        )
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
