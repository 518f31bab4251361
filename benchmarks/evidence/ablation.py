"""The paper's ablations in small: γ, N (blocks), θ and M (copies), each varied around the setting of a study.

python -m benchmarks.evidence.ablation CONFIG                         after 'distdnas study CONFIG'
python -m benchmarks.evidence.ablation CONFIG --only gamma theta --seeds 2

Each is a study like any other, in the folder of CONFIG's, to whose shards, searches and networks it has links, so that
only what another value changes is done; θ and M change no search. The same command goes on where it was stopped, and
'distdnas status' tells how far it is.

RUN/ablation/gamma, theta, copies      a study each
RUN/ablation/blocks_1, …               a study for each N, which has a cost importance of its own
"""
# ruff: noqa: T201

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.evidence.collect import keep, networks
from benchmarks.evidence.settings import VALUES, ablation, link, share
from distdnas_hpc import study
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.config import Config, load_config
from distdnas_hpc.launch import launch
from distdnas_hpc.places import architecture_of
from distdnas_hpc.report.results import read_results
from distdnas_hpc.train.candidates import candidates


def main() -> None:
    """Search and train what is missing, then write what all ablations have found by now."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="a config whose study is finished")
    parser.add_argument("--seeds", type=int, help="only the study's first ones; default: all")
    parser.add_argument("--only", nargs="+", choices=[*VALUES], default=[*VALUES], help="default: all of them")
    options = parser.parse_args()
    config = load_config(options.config)
    seeds = ((config.study and config.study.seeds) or (config.seed,))[: options.seeds]
    for of in options.only:
        for varied in ablation(config, of, seeds):
            print(f"{varied.run.name}: seeds {', '.join(map(str, seeds))}", flush=True)
            try:
                run(config, varied)
            except KeyboardInterrupt:
                sys.exit("Stopped; the same command goes on from here.")
    keep(f"{options.config.stem}_ablation", {"models": findings(config, seeds)})


def run(config: Config, varied: Config) -> None:
    """Do what is missing of an ablation's study; of networks that are the same for two values, one is trained."""
    study.prepare(varied)
    share(config, varied)
    console = Console(stderr=True)
    launch(varied, _searches, console, detach=False, prepare=study.prepare)
    trained_in = _trainings(varied)

    def trainings(config: Config) -> list[Stage]:
        once = {folder for folder, place in trained_in.items() if place == folder}
        return [
            replace(stage, tasks=tuple(task for task in stage.tasks if config.run / stage.name / task in once))
            for stage in _left(config)
            if stage.name.endswith("/train")
        ]

    launch(varied, trainings, console, detach=False, prepare=study.prepare)
    for folder, place in trained_in.items():
        link(folder, place)


def findings(config: Config, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Return the networks trained by now: as `collect` tells them, of which ablation, their N and modules kept."""
    told: list[dict[str, Any]] = []
    for of in VALUES:
        for varied in ablation(config, of, seeds):
            for variant in study.variants(varied):
                if not (variant.config.run / "config.yaml").is_file():
                    continue
                results = read_results(RunFolder.open(variant.config).path)
                found = results.found.architectures if results.found else {}
                kept = {theta: sum(map(len, (*each.dense, *each.sparse))) for theta, each in found.items()}
                about = {"of": of, "blocks": varied.model.blocks}
                told += [about | network | {"kept": kept[network["theta"]]} for network in networks(variant, results)]
    return told


def _searches(config: Config) -> list[Stage]:
    return [stage for stage in _left(config) if not stage.name.endswith("/train")]


def _left(config: Config) -> list[Stage]:
    """Return the stages that are not finished but for reports, which nobody would read."""
    run = RunFolder(config.run)
    stages = [stage for stage in study.stages(config) if not (stage.finished(run) or stage.name.endswith("/report"))]
    left = {stage.name for stage in stages}
    return [replace(stage, after=tuple(name for name in stage.after if name in left)) for stage in stages]


def _trainings(config: Config) -> dict[Path, Path]:
    """Return of each network the folder of its training, and the one where its like is trained: itself or another.

    Alike are those of one seed, architecture and M. What was begun is finished where it was begun.
    """
    like = {}
    for variant in study.variants(config):
        of_run = RunFolder(variant.config.run)
        for candidate in candidates(variant.config):
            folder = variant.config.run / "train" / candidate.task
            like[folder] = (variant.seed, architecture_of(of_run, candidate), candidate.copies)
    first: dict[Any, Path] = {}
    for folder in sorted(like, key=lambda folder: not (folder / "result.yaml").is_file()):
        first.setdefault(like[folder], folder)
    return {folder: folder if folder.is_dir() else first[key] for folder, key in like.items()}


if __name__ == "__main__":
    main()
