"""How fast DCN-v2, DeepFM and AutoInt train: `python -m benchmarks.train [MODEL …]`, with two threads.

Rows a second of the step that `train_model` takes, fed from a shard, against FuxiCTR and DeepCTR-Torch (from PyPI, each
in an environment of its own), at equal widths, tables and batches: 26 embeddings of 16 numbers, in Criteo Terabyte's
tables, capped so that they have 5 million rows in all, or 100,000. Networks have the paper's size, an MLP of 7 × 512
and 7 cross or attention layers, and about the size of DeepCTR-Torch's defaults, 2 × 128 and 2.

Every side uses its own optimizers, none with L2: FuxiCTR Adam, which its configurations say, DeepCTR-Torch Adagrad,
which its example for Criteo says. Both visit all rows of all tables in every step. Here Adagrad visits the rows of the
batch, each once, which changes nothing in the result.

The sides take turns, round after round; ratios are taken within rounds, and printed is their median. The network's own
arithmetic (its forward and backward pass, Adam not included) is held against the faster product of square matrices of
the same round: MACs are those that the gradients need, counted by torch's FlopCounterMode. What only these MACs at that
rate would take, with nothing else in a step, is the limit of what can be gained on the peers, and is printed as such.
"""
# ruff: noqa: T201

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.claim import claim
from benchmarks.clock import Clock
from benchmarks.peers import PeerUnavailableError, Worker, install
from benchmarks.search import DENSE, SQUARE, endless, paper_config, products, seconds, write_day
from distdnas_hpc.config import Config
from distdnas_hpc.data.criteo_terabyte import CARDINALITIES
from distdnas_hpc.data.feed import Batch, Feed
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.nn.baselines.registry import REGISTRY
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.optim import Optimizers
from distdnas_hpc.trajectory import Trajectory

THREADS = 2
MODELS = ("dcnv2", "deepfm", "autoint")
SIZES = {"7 layers of 512": (7, 512), "2 layers of 128": (2, 128)}
"""Layers of MLP and interactions, and their units."""
TABLES = {"5 million": (5_000_000, 3.0), "100,000": (100_000, 1.0)}
"""Rows of all tables, and how many times as fast as the better peer training should be."""
STEPS = {2048: 4, 8192: 1}
"""Of a round, by the rows of a batch."""
ROUNDS = 5
PEERS = {"FuxiCTR": ("fuxictr", "fuxictr==2.3.10"), "DeepCTR-Torch": ("deepctr", "deepctr-torch==0.3.0", "requests")}


def tables_of(rows: int) -> tuple[int, ...]:
    """Return Criteo Terabyte's tables with the cap that leaves so many rows in all, or a few less."""
    low, high = 1, rows
    while low < high:
        cap = (low + high + 1) // 2
        low, high = (cap, high) if sum(min(v + 1, cap) for v in CARDINALITIES) <= rows else (low, cap - 1)
    return tuple(min(values + 1, low) for values in CARDINALITIES)


class Ours:
    """The training of a day, a step at a time."""

    def __init__(self, config: Config, name: str, manifest: Manifest) -> None:
        self.network = partial(REGISTRY[name].build, config.model, DENSE, len(manifest.table_sizes))
        self.model = CTRModel(Embedding(manifest.table_sizes, config.model.dim_s), self.network())
        self.optimizers = Optimizers(self.model, config.optimizer)
        self.batches: Iterator[Batch] = iter(())
        self.trajectory = Trajectory(10**6, ["loss"], torch.device("cpu"))
        self.clock = Clock()
        self.clock.watch(self.model, self.optimizers)
        self.step_number = 0

    def step(self) -> None:
        """Take a batch from the feed and a step, as `train_model` does."""
        start, before = time.perf_counter(), self.clock.total
        label, dense, sparse = next(self.batches)
        self.optimizers.zero_grad()
        loss = binary_cross_entropy_with_logits(self.model(dense, sparse), label)
        forward_done = time.perf_counter()
        loss.backward()
        self.clock.seconds["backward"] += time.perf_counter() - forward_done
        self.optimizers.step(1.0)
        self.step_number += 1
        self.trajectory.add(self.step_number, len(label), loss.detach(), day=1)
        self.clock.seconds["feed and bookkeeping"] += time.perf_counter() - start - (self.clock.total - before)

    @property
    def arithmetic(self) -> float:
        """Seconds of forward and backward passes so far."""
        return self.clock.seconds["forward"] + self.clock.seconds["backward"]

    def needed_macs(self, batch: int) -> int:
        """Count the MACs of the network's forward and backward pass over a batch."""
        with torch.device("meta"):
            network = self.network()
            dense = torch.empty(batch, DENSE)
            embedded = torch.empty(batch, len(CARDINALITIES), 16, requires_grad=True)
        with FlopCounterMode(display=False) as counter:
            network(dense, embedded).sum().backward()
        return counter.get_total_flops() // 2


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(THREADS)
    claims: list[tuple[Any, ...]] = []
    for words, (rows, target) in TABLES.items():
        with tempfile.TemporaryDirectory() as folder:
            manifest = write_day(Path(folder), 1 << 17, tables_of(rows))
            for size, name in itertools.product(SIZES, sys.argv[1:] or MODELS):
                claims += of_model(size, name, manifest, f"{name}, {size}, {words} embedding rows", target)
    for one in claims:
        claim(*one)


def of_model(size: str, name: str, manifest: Manifest, what: str, target: float) -> list[tuple[Any, ...]]:
    """Measure a model with both batches against both peers; return the claims."""
    layers, width = SIZES[size]
    config = paper_config()
    # AutoInt's peers let all 26 embeddings attend to one another.
    dims = {"baseline_layers": layers, "baseline_width": width, "n_s": len(CARDINALITIES)}
    config = config.model_copy(update={"model": config.model.model_copy(update=dims)})
    ours = Ours(config, name, manifest)
    workers = {}
    for peer, (program, *packages) in PEERS.items():
        try:
            python = install(program, packages)
            worker = Worker(python, f"with_{program}", name, THREADS, layers, width, *manifest.table_sizes)
            worker.ask(256, 1)
            workers[peer] = worker
        except PeerUnavailableError as error:
            print(f"{peer} is not measured: {error}")
    claims = []
    try:
        for batch, steps in STEPS.items():
            ours.batches = endless(Feed(manifest, 1, batch, shuffle_seed=1))
            claims += measure(ours, workers, batch, steps, f"{what}, batch {batch}", target)
    finally:
        for worker in workers.values():
            worker.close()
    return claims


def measure(
    ours: Ours, workers: dict[str, Worker], batch: int, steps: int, what: str, target: float
) -> list[tuple[Any, ...]]:
    """Let all sides take turns, print medians, return the claims."""
    multiply = products()

    def train() -> float:
        return sum(seconds(ours.step) for _ in range(steps))

    todo: dict[str, Callable[[], float]] = {
        "ours": train,
        **{peer: partial(worker.ask, batch, steps) for peer, worker in workers.items()},
        **{way: partial(seconds, function) for way, function in multiply.items()},
    }
    for function in todo.values():
        function()  # warms up
    ours.clock.seconds.clear()
    macs, rounds, shares, rests = ours.needed_macs(batch) * steps, [], [], []
    for _ in range(ROUNDS):
        before, all_before = ours.arithmetic, ours.clock.total
        one = {side: function() for side, function in todo.items()}
        arithmetic, total = ours.arithmetic - before, ours.clock.total - all_before
        one["limit"] = macs / SQUARE**3 * min(one[way] for way in multiply)
        rounds.append(one)
        shares.append(one["limit"] / arithmetic)
        rests.append(1 - arithmetic / total)
    took = {side: median(one[side] for one in rounds) for side in rounds[0]}
    print(f"{what}:")
    for side in ("ours", *workers, "limit"):
        print(f"  {side:14} {batch * steps / took[side]:9,.0f} rows/s")
    spent = ours.clock.seconds
    print("  ours: " + ", ".join(f"{part} {spent[part] / ours.clock.total:.1%}" for part in sorted(spent)))
    peak = max(SQUARE**3 / took[way] for way in multiply)
    share, rest = median(shares), median(rests)
    print(f"  arithmetic {share:.1%} of {peak / 1e9:.0f} GMAC/s", flush=True)
    claims: list[tuple[Any, ...]] = []
    if "7 layers" in what:
        claims.append((f"{what}: all but the network's arithmetic, share of a step", rest, "", 0.15, rest < 0.15))
    if what.startswith("dcnv2, 7 layers"):
        claims.append((f"{what}: arithmetic, share of the peak", share, "", 0.85, share >= 0.85))
    against = f"{what}: against the better peer"
    if not workers:
        return [*claims, (f"{against} (neither could be measured)", None, "x", target, None)]
    better = [min(one[peer] for peer in workers) for one in rounds]
    ratio = median(peer / one["ours"] for peer, one in zip(better, rounds, strict=True))
    limit = median(peer / one["limit"] for peer, one in zip(better, rounds, strict=True))
    return [
        *claims,
        (f"{against} (with nothing but products at the peak: {limit:.1f})", ratio, "x", target, ratio >= target),
    ]


if __name__ == "__main__":
    main()
