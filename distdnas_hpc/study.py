"""Strategies of search side by side (paper, Table II): a run for each, on shards and cost importance made once.

RUN/                     the study's own run: shards, cost importance, the ledger of all jobs
RUN/study/NAME/          a run like any other, e.g. one_shot_g0.004_s1; `prepared` in its config names RUN
RUN/study/report.html    what they found, side by side

A study's stages are those of its runs, named by their folders (study/NAME/search), so that one launch submits all of
them, each after what it waits for, and one look, one resubmission and one cancellation are for the whole study.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from distdnas_hpc import pipeline
from distdnas_hpc.cluster.execute import execute
from distdnas_hpc.cluster.run_folder import STUDY, RunFolder
from distdnas_hpc.cluster.stages import Stage, Work
from distdnas_hpc.config import Config, Strategy
from distdnas_hpc.errors import UserError
from distdnas_hpc.report.results import Results, read_results
from distdnas_hpc.report.strategies import search_converged
from distdnas_hpc.report.study_page import write_study_report


class Variant(NamedTuple):
    """One run of a study. `gamma` is None where a strategy has none."""

    name: str
    strategy: Strategy
    gamma: float | None
    seed: int
    config: Config


def variants(config: Config) -> Iterator[Variant]:
    """Yield the runs of a config's study, in the order of its table.

    Raises
    ------
    UserError : the config has no study.
    """
    study = config.study
    if study is None:
        raise UserError("The config has no 'study'; add that section, as in configs/study_quickstart.yaml.")
    begun: set[int] = set()  # seeds, whose first run trains the published models
    for strategy in study.strategies:
        gammas: tuple[float | None, ...] = study.gamma or (config.search.gamma,)
        if strategy in ("distributed", "supernet"):
            gammas = (None,)
        for gamma in gammas:
            for seed in study.seeds or (config.seed,):
                name = strategy + (f"_g{gamma:g}" if gamma is not None else "") + f"_s{seed}"
                beside = () if seed in begun else study.baselines
                begun.add(seed)
                yield Variant(name, strategy, gamma, seed, _config(config, name, strategy, gamma, seed, beside))


def prepare(config: Config) -> RunFolder:
    """Make the run folders of a study, or open those that are there; return the study's own.

    Raises
    ------
    UserError : as `RunFolder.prepare`; before anything is changed where a folder belongs to another config.
    """
    runs = [variant.config for variant in variants(config)]
    for each in (config, *runs):
        if (each.run / "config.yaml").is_file():
            RunFolder.open(each)
    run = RunFolder.prepare(config)
    for each in runs:
        RunFolder.prepare(each)
    return run


def stages(config: Config) -> list[Stage]:
    """Return the stages of a study: what its runs share, then those of each."""
    shared = [] if config.prepared else [*pipeline.preparation(config), *pipeline.cost_model(config)]
    return [*shared, *(stage for variant in variants(config) for stage in _stages_of(variant, shared))]


def left(config: Config) -> list[Stage]:
    """Return the stages of a study, but for those of runs whose search diverged: a finding, which isn't tried again."""
    diverged = _diverged(config)
    return [stage for stage in stages(config) if not stage.name.startswith(diverged)]


def to_mend(run: RunFolder) -> list[Stage]:
    """Return the stages of a run folder that may be submitted again: as `stages_of`, and of a study as `left`."""
    diverged = _diverged(run.config) if run.config.study is not None else ()
    return [stage for stage in stages_of(run) if not stage.name.startswith(diverged)]


def stages_of(run: RunFolder) -> list[Stage]:
    """Return the stages of a run folder: a study's, where one was begun there, and those of the run itself."""
    config = run.config
    own = pipeline.stages(config)
    if config.study is None or not (run.path / STUDY).is_dir():
        return own
    of_study = stages(config)
    names = {stage.name for stage in of_study}
    others = [stage for stage in own if stage.name not in names]
    begun = any((run.path / stage.name).is_dir() for stage in others)  # by 'distdnas run' in the same folder
    return [*of_study, *(others if begun else [])]


def run_task(run: str, stage: str, task: str, attempt: int) -> None:
    """Run one task of a run folder in this process; what every executor calls, in the end."""
    folder = RunFolder(Path(run))
    known = {(known.name, name): known for known in stages_of(folder) for name in known.tasks}
    if (stage, task) not in known:
        raise UserError(f"The run {run} has no task {stage}/{task}; see 'distdnas status {run}'.")
    execute(folder, known[stage, task], task, attempt)


def outdated(run: RunFolder) -> list[tuple[str, str]]:
    """Return the tasks whose results lack what is there now, of the run itself and of its study's runs."""
    found = pipeline.outdated(run)
    if run.config.study is not None:
        for variant in variants(run.config):
            if _has_config(variant.config.run):
                of_variant = pipeline.outdated(RunFolder(variant.config.run))
                found += [(f"{STUDY}/{variant.name}/{stage}", task) for stage, task in of_variant]
    return found


def study_results(config: Config) -> list[Results]:
    """Return what each of a study's runs has found by now, in the order of its table."""
    return [read_results(variant.config.run) for variant in variants(config) if _has_config(variant.config.run)]


def _config(
    config: Config, name: str, strategy: Strategy, gamma: float | None, seed: int, beside: Sequence[str]
) -> Config:
    """Return the config of one run; `beside` are the published models that it trains."""
    tree = config.to_dict()
    tree |= {"run": config.run / STUDY / name, "prepared": config.prepared or config.run, "study": None}
    tree |= {"strategy": strategy, "seed": seed}
    tree["search"] = {**tree["search"], "gamma": 0.0 if strategy == "distributed" else gamma}
    if gamma is None and strategy != "distributed":
        tree["search"].pop("gamma")
    if strategy == "supernet":  # θ keeps everything
        tree["search"]["theta"] = tree["search"]["theta"][:1]
    tree["train"] = {**tree["train"], "baselines": beside}
    return Config.model_validate(tree)


def _stages_of(variant: Variant, shared: list[Stage]) -> Iterator[Stage]:
    """Yield the stages of one of a study's runs, under the names that they have in the study."""
    first = tuple(stage.name for stage in shared if stage.name in ("manifest", "cost"))
    for stage in pipeline.stages(variant.config):
        function = _and_the_studys_report if stage.name == "report" else _in_variant
        yield replace(
            stage,
            name=f"{STUDY}/{variant.name}/{stage.name}",
            function=partial(function, stage, variant.name),
            after=tuple(f"{STUDY}/{variant.name}/{name}" for name in stage.after) or first,
        )


def _in_variant(stage: Stage, name: str, work: Work) -> dict[str, Any]:
    """Do a stage's work in the run folder of one of a study's runs."""
    return stage.function(work._replace(run=RunFolder(work.run.path / STUDY / name)))


def _and_the_studys_report(stage: Stage, name: str, work: Work) -> dict[str, Any]:
    """Write the report of one of a study's runs, and the study's, which is complete when the last has done so."""
    result = _in_variant(stage, name, work)
    write_report(work.run)
    return result


def write_report(run: RunFolder) -> Path:
    """Write RUN/study/report.html from what is there.

    Several runs of the study may do so at the same time: each looks again afterwards whether it knew everything.
    """
    while True:
        before = _trained(run)
        path = write_study_report(run.path, run.config, study_results(run.config))
        if _trained(run) == before:
            return path


def _trained(run: RunFolder) -> set[Path]:
    return set((run.path / STUDY).glob("*/train/*/result.yaml"))


def _diverged(config: Config) -> tuple[str, ...]:
    """Return how the names of stages begin of a study's runs whose search diverged."""
    known = [variant.config.run for variant in variants(config)]
    runs = [run for run in known if _has_config(run) and search_converged(read_results(run)) == "diverged"]
    return tuple(f"{STUDY}/{run.name}/" for run in runs)


def _has_config(run: Path) -> bool:
    return (run / "config.yaml").is_file()
