"""What the tasks of each stage do.

Every task reads files and writes files, so it runs anywhere that sees the run folder. Functions import what they need
when they run: listing a run's stages must not wait for torch.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Work
from distdnas_hpc.config import Config
from distdnas_hpc.errors import DivergedError, UserError
from distdnas_hpc.places import WHOLE, architecture_of, cost_folder, day_name, day_of, days_of, prepared_folder
from distdnas_hpc.storage import read_yaml, write_yaml
from distdnas_hpc.train.candidates import Candidate, architecture_file, candidates
from distdnas_hpc.train.candidates import recurring as recurring_candidates

if TYPE_CHECKING:
    import torch

    from distdnas_hpc.search.aggregate import Aggregate

log = logging.getLogger(__name__)


def parse(work: Work) -> dict[str, Any]:
    """Turn the raw text of a day into shards."""
    from distdnas_hpc.data.prepare import parse_day

    config, day = work.run.config, day_of(work.task)
    prepared = prepared_folder(work.run)
    return parse_day(config.data, day, work.folder, prepared, work.progress, training=day in config.train.days)


def merge(work: Work) -> dict[str, Any]:
    """Make the id maps and the dense statistics of the training days."""
    from distdnas_hpc.data.prepare import merge_days

    config = work.run.config
    parsed = {day: work.run.task_folder("parse", day_name(day)) for day in days_of(config)}
    return merge_days(config.data, config.train.days, parsed, prepared_folder(work.run))


def encode(work: Work) -> dict[str, Any]:
    """Tell what the codes in a day's shards mean."""
    from distdnas_hpc.data.prepare import encode_day

    parsed = work.run.task_folder("parse", work.task)
    return encode_day(work.run.config.data, day_of(work.task), parsed, prepared_folder(work.run), work.progress)


def manifest(work: Work) -> dict[str, Any]:
    """Name every file: from here on the data is complete, and the counts that ids were chosen by can go."""
    from distdnas_hpc.data.prepare import discard_counts, write_manifest

    config = work.run.config
    encoded = {day: work.run.result("encode", day_name(day)) for day in days_of(config)}
    result = write_manifest(config.data, encoded, prepared_folder(work.run))
    for day in days_of(config):
        discard_counts(work.run.task_folder("parse", day_name(day)))
    return result


def cost(work: Work) -> dict[str, Any]:
    """Fit the cost model and take each module's importance."""
    from distdnas_hpc.search.cost import cost_importance

    config = work.run.config
    schema = config.data.schema_
    importance = cost_importance(config, schema.dense, schema.sparse, _device(config), work.progress)
    return {"samples": config.cost.samples, **importance.to_dict()}


def search(work: Work) -> dict[str, Any]:
    """Search one day, or all of them in one go."""
    from distdnas_hpc.data.manifest import Manifest
    from distdnas_hpc.search.cost import CostImportance
    from distdnas_hpc.search.day import search_day

    config = work.run.config
    importance = CostImportance.from_dict(read_yaml(cost_folder(work.run) / "result.yaml"))
    manifest = Manifest.load(prepared_folder(work.run), config.data)
    day = config.search.days if work.task == WHOLE else day_of(work.task)
    return search_day(config, day, manifest, importance, work.folder, _device(config), work.progress)


def aggregate(work: Work) -> dict[str, Any]:
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


def train(work: Work) -> dict[str, Any]:
    """Train one model from scratch, and test it."""
    return _fit(work, candidates(work.run.config), recurring=False)


def recurring(work: Work) -> dict[str, Any]:
    """Train one model from scratch, and test it on each day before training on it."""
    return _fit(work, recurring_candidates(work.run.config), recurring=True)


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
    architecture = architecture_of(work.run, candidate)

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


def report(work: Work) -> dict[str, Any]:
    """Compare the models' scores, and write report.html."""
    from distdnas_hpc.report.differences import write_differences
    from distdnas_hpc.report.page import write_report

    models = [candidate.task for candidate in candidates(work.run.config)]
    write_differences(work.run.path, models, work.folder)
    return {"report": str(write_report(work.run.path)), "models": models}


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
