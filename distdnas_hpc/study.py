"""Strategies of search side by side (paper, Table II): a run for each, on shards and cost importance made once.

RUN/                     the study's own run: shards, cost importance
RUN/study/NAME/          a run like any other, e.g. one_shot_g0.004_s1; `prepared` in its config names RUN
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console

from distdnas_hpc import pipeline
from distdnas_hpc.cluster.display import watch_run
from distdnas_hpc.cluster.queue import queue
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.cluster.status import TaskStatus, run_status
from distdnas_hpc.config import Config, Strategy
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.errors import UserError
from distdnas_hpc.launch import SLURM_INTERVAL, UnfinishedError, launch
from distdnas_hpc.report.strategies import better_than_constant, row_of
from distdnas_hpc.report.study_table import Row
from distdnas_hpc.train.candidates import candidates

Stages = Callable[[Config], list[Stage]]
"""Which of a config's stages."""


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
    for strategy in study.strategies:
        gammas: tuple[float | None, ...] = study.gamma or (config.search.gamma,)
        if strategy in ("distributed", "supernet"):
            gammas = (None,)
        for gamma in gammas:
            for seed in study.seeds or (config.seed,):
                name = strategy + (f"_g{gamma:g}" if gamma is not None else "") + f"_s{seed}"
                yield Variant(name, strategy, gamma, seed, _config(config, name, strategy, gamma, seed))


def run_study(config: Config, console: Console, *, detach: bool) -> bool:
    """Run what is missing of a study; return whether that was all, False where jobs are left behind with Slurm.

    A search that diverged is a finding: it is not tried again, and what would come after it is left out.

    Parameters
    ----------
    detach : on Slurm, return when all is submitted that can be.

    Raises
    ------
    UserError, KeyboardInterrupt : as `launch`.
    UnfinishedError : tasks of some runs went wrong; the others were done.
    """
    runs = list(variants(config))
    on_slurm = config.cluster.executor == "slurm"
    if not _finished(config, shared):
        if not _in_hand(config, shared):
            launch(config, shared, console, detach=detach)
        elif not detach:
            _wait(config, shared, console)
        if detach:
            console.print("When the study's data and cost importance are done, the same command submits its runs.")
            return False
    wrong: list[TaskStatus] = []
    for variant in runs:
        if not _over(variant.config) and not _in_hand(variant.config, compared):
            console.print(f"── {variant.name}", style="bold", highlight=False)
            # On Slurm all runs are submitted first, so that they wait in the queue together.
            with _gathered(wrong):
                launch(variant.config, compared, console, detach=on_slurm)
    if detach:
        return all(_over(variant.config) for variant in runs)
    for variant in runs if on_slurm else ():
        if not _over(variant.config):
            with _gathered(wrong):
                _wait(variant.config, compared, console)
    if wrong:
        raise UnfinishedError(wrong)
    return True


@contextmanager
def _gathered(wrong: list[TaskStatus]) -> Iterator[None]:
    """Add the tasks that went wrong in the block, but for searches that diverged, so that other runs are done."""
    try:
        yield
    except UnfinishedError as error:
        wrong += [told for told in error.wrong if not (told.stage == "search" and told.state == "diverged")]


def _wait(config: Config, choose: Stages, console: Console) -> None:
    """Watch a run on Slurm until it ends; an UnfinishedError if it did not finish."""
    told = watch_run(
        RunFolder(config.run), choose(config), console, lambda: queue(RunFolder(config.run)), SLURM_INTERVAL
    )
    if not _finished(config, choose):
        raise UnfinishedError([each for each in told if each.went_wrong])


def shared(config: Config) -> list[Stage]:
    """Return the stages that a study's runs share."""
    return [*pipeline.preparation(config), *pipeline.cost_model(config)]


def compared(config: Config) -> list[Stage]:
    """Return the stages of each of a study's runs; the study's table takes the report's place."""
    return [stage for stage in pipeline.stages(config) if stage.name != "report"]


def study_rows(config: Config) -> list[Row]:
    """Return what the study found so far, a row for each strategy, γ, seed, θ and M."""
    rows = []
    for _, strategy, gamma, seed, of_run in variants(config):
        search = _search_converged(of_run)
        rows += [row_of(of_run.run, candidate, strategy, gamma, seed, search) for candidate in candidates(of_run)]
    return rows


def _config(config: Config, name: str, strategy: Strategy, gamma: float | None, seed: int) -> Config:
    tree = config.to_dict()
    tree |= {"run": config.run / "study" / name, "prepared": config.run, "study": None}
    tree |= {"strategy": strategy, "seed": seed}
    tree["search"] = {**tree["search"], "gamma": 0.0 if strategy == "distributed" else gamma}
    if gamma is None and strategy != "distributed":
        tree["search"].pop("gamma")
    if strategy == "supernet":  # θ keeps everything
        tree["search"]["theta"] = tree["search"]["theta"][:1]
    tree["train"] = {**tree["train"], "baselines": []}
    return Config.model_validate(tree)


def _finished(config: Config, choose: Stages) -> bool:
    if not (config.run / "config.yaml").is_file():
        return False
    run = RunFolder.open(config)
    return all(stage.finished(run) for stage in choose(config))


def _over(config: Config) -> bool:
    """Whether nothing is left to do: all is finished, or too few searches can be, because others diverged."""
    return _finished(config, compared) or _search_state(config)[0] == "diverged"


def _in_hand(config: Config, choose: Stages) -> bool:
    return any(told.in_hand for told in _statuses(config, choose(config)))


def _statuses(config: Config, stages: Sequence[Stage]) -> list[TaskStatus]:
    if not (config.run / "config.yaml").is_file():
        return []
    run = RunFolder(config.run)
    return run_status(run, stages, queue(run))


def _search_state(config: Config) -> tuple[str, list[str]]:
    """Return 'n/a', 'diverged', 'not done' or 'done', and the tasks that are done."""
    search = next((stage for stage in compared(config) if stage.name == "search"), None)
    if search is None:
        return "n/a", []
    told = _statuses(config, [search])
    done = [each.task for each in told if each.state == "done"]
    needed = search.required or len(search.tasks)
    if len(search.tasks) - sum(each.state == "diverged" for each in told) < needed:
        return "diverged", done
    return ("done" if len(done) >= needed else "not done"), done


def _search_converged(config: Config) -> str:
    """Say whether every search ended better than a constant would: with NE < 1 over the last tenth of its steps."""
    state, tasks = _search_state(config)
    if state != "done":
        return state
    manifest = Manifest.load(pipeline.prepared_folder(RunFolder(config.run)), config.data)
    return "yes" if better_than_constant(config.run, config, tasks, manifest) else "no"
