"""The settings around a study's own that an ablation tries, and what they share with it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from distdnas_hpc import study
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.config import Config
from distdnas_hpc.launch import check_prepared
from distdnas_hpc.places import day_name
from distdnas_hpc.train.candidates import candidates

VALUES: dict[str, tuple[float, ...]] = {
    "gamma": (0, 0.004, 0.04),
    "blocks": (1, 2, 3),
    "theta": (0.15, 0.2, 0.25, 0.3),
    "copies": (1, 2, 3, 4),
}
"""What is varied; all else is as in the config, of whose θ and M the first count."""

PREPARED = ("parse", "merge", "encode", "manifest", "prepared")
"""Folders of a run that all of its ablations share."""


def ablation(config: Config, of: str, seeds: Sequence[int]) -> Iterator[Config]:
    """Yield the studies of an ablation: one in which runs have all its values, or of N one for each."""
    tree = config.to_dict()
    one = {"theta": tree["search"]["theta"][:1], "copies": tree["train"]["copies"][:1]}
    alone: dict[str, list[str]] = {"baselines": [], "recurring": []}
    values = VALUES[of]
    for blocks in values if of == "blocks" else (config.model.blocks,):
        yield Config.model_validate(
            tree
            | {"run": config.run / "ablation" / (f"blocks_{blocks}" if of == "blocks" else of), "prepared": None}
            | {"study": {"gamma": values if of == "gamma" else None, "strategies": ["distdnas"], "seeds": seeds}}
            | {"model": tree["model"] | {"blocks": blocks}}
            | {"search": tree["search"] | {"theta": values if of == "theta" else one["theta"]}}
            | {"train": tree["train"] | alone | {"copies": values if of == "copies" else one["copies"]}}
        )


def share(config: Config, varied: Config) -> None:
    """Link to what is done in the study of `config` and would be done alike here."""
    shared = config.prepared or config.run
    check_prepared(config.model_copy(update={"prepared": shared}))
    alike = varied.model == config.model  # cost importance depends on N
    for name in (*PREPARED, *(["cost"] if alike else [])):
        link(varied.run / name, shared / name)
    theirs = {variant.name: variant.config for variant in study.variants(config)}
    for variant in study.variants(varied):
        if not alike or variant.name not in theirs:
            continue
        source = RunFolder.open(theirs[variant.name]).path
        days = (f"search/{day_name(day)}" for day in config.search.days)
        models = (f"train/{candidate.task}" for candidate in candidates(variant.config))
        for task in (*days, *models):
            if (source / task / "result.yaml").is_file():
                link(variant.config.run / task, source / task)


def link(place: Path, target: Path) -> None:
    """Make a link to a folder, by a relative path, unless something is there."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(os.path.relpath(target, place.parent))
