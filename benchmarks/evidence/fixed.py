"""Networks that no search found, trained as those of a study: what a search has to be better than.

python -m benchmarks.evidence.fixed CONFIG alone      each module alone: the same one in all blocks of its side
python -m benchmarks.evidence.fixed CONFIG chance     architectures drawn at random, of the found networks' MACs

Trained ones are kept in the study's folder, so that the same command goes on where it was stopped.
"""
# ruff: noqa: T201

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.evidence.collect import keep
from distdnas_hpc.config import Config, load_config
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.nn.macs import network_cost
from distdnas_hpc.nn.network import Network
from distdnas_hpc.progress import Progress
from distdnas_hpc.report.results import read_results
from distdnas_hpc.search.cost import sample_architectures
from distdnas_hpc.search.module_costs import ModuleCosts
from distdnas_hpc.storage import read_yaml, write_yaml
from distdnas_hpc.study import variants
from distdnas_hpc.train.trainer import train_model

NEAR = 0.1
"""A network of chance differs from the found one's MACs by at most this share."""
DRAWS = 20_000
"""Architectures among which those of near MACs are looked for."""


class Fixed(NamedTuple):
    """An architecture to be trained, under a name of its own."""

    name: str
    seed: int
    architecture: Architecture


def main() -> None:
    """Train what is missing, then write the results' file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="a config whose study is finished")
    parser.add_argument("kind", choices=("alone", "chance"))
    parser.add_argument("--seeds", type=int, help="only the study's first ones; default: all")
    options = parser.parse_args()
    config = load_config(options.config)
    seeds = ((config.study and config.study.seeds) or (config.seed,))[: options.seeds]
    networks = alone(config, seeds) if options.kind == "alone" else chance(config, seeds)
    torch.set_num_threads(config.cluster.threads)
    models = []
    for network in networks:
        models.append(train(config, network))
        print(
            f"{network.name}, seed {network.seed}: AUC {models[-1]['auc']:.4f}, NE {models[-1]['ne']:.4f}", flush=True
        )
    keep(f"{options.config.stem}_{options.kind}", {"models": models})


def alone(config: Config, seeds: tuple[int, ...]) -> Iterator[Fixed]:
    """Yield a network for each module, whose other side is identity."""
    blocks = config.model.blocks
    for seed in seeds:
        for side, modules in enumerate((DENSE_MODULES, SPARSE_MODULES)):
            for module in modules:
                sides = [("identity",), ("identity3d",)]
                sides[side] = (module,)
                yield Fixed(module, seed, Architecture(*((names,) * blocks for names in sides)))


def chance(config: Config, seeds: tuple[int, ...]) -> Iterator[Fixed]:
    """Yield, for each seed, a network drawn at random among those with about the MACs of the one that was found."""
    importance = read_yaml((config.prepared or config.run) / "cost/all/result.yaml")
    macs = ModuleCosts(importance["macs_base"], np.array(importance["macs_modules"]))
    for variant in variants(config):
        found = read_results(variant.config.run).model("distdnas")
        if variant.strategy != "distdnas" or variant.seed not in seeds or found is None:
            continue
        rng = np.random.default_rng(config.seed_of("chance", str(variant.seed)))
        # Each module with a probability of its own network's, so that small networks are drawn too.
        keep = sample_architectures(DRAWS, config.model.blocks, rng)
        sparser = keep & (rng.random(keep.shape) < rng.random((DRAWS, 1, 1)))
        drawn = sparser[(sparser[..., :5].any(-1) & sparser[..., 5:].any(-1)).all(-1)]
        near = drawn[np.abs(macs.of(drawn) / found.macs - 1) <= NEAR]
        if not len(near):
            raise SystemExit(f"No architecture drawn has about {found.macs:,} MACs.")
        yield Fixed("chance", variant.seed, _architecture(near[0]))


def train(config: Config, network: Fixed) -> dict[str, Any]:
    """Train a network as the study trained those that it found, or read what came of it."""
    folder = config.run / "fixed" / f"{network.name}_s{network.seed}"
    if (folder / "result.yaml").is_file():
        return read_yaml(folder / "result.yaml")
    folder.mkdir(parents=True, exist_ok=True)
    of_seed = config.model_copy(update={"seed": network.seed})
    manifest = Manifest.load(config.prepared_folder, config.data)
    dense, sparse = len(manifest.dense_columns), len(manifest.sparse_columns)

    def build() -> Network:
        return Network(network.architecture, config.model, dense, sparse)

    seed = of_seed.seed_of("train", "distdnas_t0.2_m1")
    found = train_model(of_seed, build, manifest, seed, folder, torch.device("cpu"), Progress(None))
    told: dict[str, Any] = {"strategy": network.name, "gamma": None, "seed": network.seed, "theta": None, "copies": 1}
    told["macs"] = network_cost(build, dense, sparse, config.model.dim_s).macs
    told |= {metric: round(found[metric], 6) for metric in ("auc", "logloss", "ne")}
    write_yaml(folder / "result.yaml", told | network.architecture.to_dict())
    return told


def _architecture(keep: Any) -> Architecture:
    sides = ((DENSE_MODULES, keep[:, :5]), (SPARSE_MODULES, keep[:, 5:]))
    return Architecture(*(tuple(tuple(np.array(modules)[row].tolist()) for row in kept) for modules, kept in sides))


if __name__ == "__main__":
    main()
