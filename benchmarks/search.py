"""How near the bilevel step comes to the machine's peak: `python -m benchmarks.search [THREADS]`, 2 by default.

At the paper's dimensions, on Criteo Terabyte's 26 tables capped at 5 million rows (28 million rows in all, ids drawn
with a power law), for batches of 2,048 and 8,192 rows: the step that `search_day` takes, fed from a shard, against

- the rate of square float32 products with the same threads, by `torch.matmul` and by oneDNN, which is the faster of
  the two on some machines. The step's products are those that its gradients need, counted by torch's FlopCounterMode
  (halved: multiply-accumulates) on the naive supernet, so that no way of computing them changes the count: for w a
  forward pass, the gradients of all weights and those of all inputs down to the embeddings; for A and B a forward
  pass and the gradients of inputs as far as the mixing weights need them.
- `benchmarks.naive`, the same step as one would write it first.

Every round takes all measurements in turn; printed are medians. 7.5 GB of memory, both sides' tables and sums of
squares.
"""
# ruff: noqa: T201

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.claim import claim
from benchmarks.clock import Clock
from benchmarks.memory import MAX_ROWS
from benchmarks.naive import NaiveSearch, Supernet
from distdnas_hpc.config import Config
from distdnas_hpc.data.criteo_terabyte import CARDINALITIES
from distdnas_hpc.data.feed import Batch, Feed
from distdnas_hpc.data.manifest import Day, IdsInfo, Manifest
from distdnas_hpc.data.rows import Columns
from distdnas_hpc.data.shards import ShardInfo, create_shard
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.network import Mixing, Network
from distdnas_hpc.nn.optim import Optimizers
from distdnas_hpc.search.bilevel import Bilevel
from distdnas_hpc.search.weights import ArchitectureWeights

DENSE = 13
TABLE_SIZES = tuple(min(values + 1, MAX_ROWS) for values in CARDINALITIES)
BATCHES = (2048, 8192)
ROUNDS = {2048: 7, 8192: 5}
SQUARE = 2048


class Ours:
    """The search of a day, a step at a time."""

    def __init__(
        self, config: Config, importance: Mixing, batches: Iterator[Batch], table_sizes: Sequence[int] = TABLE_SIZES
    ) -> None:
        self.network = Network(Architecture.full(config.model.blocks), config.model, DENSE, len(table_sizes))
        model = CTRModel(Embedding(table_sizes, config.model.dim_s), self.network)
        weights = ArchitectureWeights(config.model.blocks)
        architecture_optimizer = torch.optim.Adam(weights.parameters(), lr=config.search.architecture_lr)
        w_optimizers, gumbel = Optimizers(model, config.optimizer), torch.Generator().manual_seed(1)
        self.bilevel = Bilevel(config, model, weights, w_optimizers, architecture_optimizer, importance, gumbel)
        self.batches = batches
        self.clock = Clock()
        self.clock.watch(model, w_optimizers, architecture_optimizer)

    def step(self) -> None:
        """Take two batches from the feed and a step."""
        start = time.perf_counter()
        w_batch, architecture_batch = next(self.batches), next(self.batches)
        fed = time.perf_counter()
        before = self.clock.total
        self.bilevel.step((w_batch, architecture_batch), 1.0, 1.0)
        other = time.perf_counter() - fed - (self.clock.total - before)
        self.clock.seconds["feed"] += fed - start
        self.clock.seconds["backward"] += other


def needed_macs(config: Config, batch: int) -> int:
    """Count the MACs of a bilevel step over two batches of so many rows."""
    model = config.model
    with torch.device("meta"):
        network = Supernet(model, DENSE, len(TABLE_SIZES))
        dense, embedded = torch.empty(batch, DENSE), torch.empty(batch, len(TABLE_SIZES), model.dim_s)
        mixing = Mixing(*(torch.empty(model.blocks, 5) for _ in range(2)))
    with FlopCounterMode(display=False) as w:
        network(dense, embedded.requires_grad_(), mixing).sum().backward()
    network.requires_grad_(False)
    with FlopCounterMode(display=False) as architecture:
        network(dense, embedded.detach(), Mixing(*(side.requires_grad_() for side in mixing))).sum().backward()
    return (w.get_total_flops() + architecture.get_total_flops()) // 2


def write_day(folder: Path, rows: int, table_sizes: Sequence[int] = TABLE_SIZES, seed: int = 1) -> Manifest:
    """Write a day of random rows; in each table an id's frequency falls as 1/(id + 1)."""
    rng = np.random.default_rng(seed)
    sizes = np.array(table_sizes)
    ids = ((sizes ** rng.random((rows, len(sizes)))).astype(np.int64) - 1).astype(np.int32).T
    label = (rng.random(rows) < 0.03).astype(np.uint8)
    dense = rng.integers(0, 100, (DENSE, rows)).astype(np.int32)
    # A day's codes are numbered in the order of appearance; 0 stands for a missing value.
    codes, translation = zip(*(in_order(column) for column in ids), strict=True)
    with create_shard(folder / "day.h5", DENSE, len(sizes)) as shard:
        shard.append(Columns(label, dense, np.stack(codes)))
        shard.finish((), (), ())
    np.save(folder / "ids.npy", np.concatenate(translation))
    counts = tuple(len(column) - 1 for column in translation)
    return Manifest(
        folder=folder,
        days={1: Day(rows, int(label.sum()), (ShardInfo("day.h5", rows, ""),), IdsInfo("ids.npy", counts, ""))},
        table_sizes=tuple(table_sizes),
        dense_mean=(3.0,) * DENSE,
        dense_std=(1.0,) * DENSE,
        dense_columns=tuple(f"I{j}" for j in range(DENSE)),
        sparse_columns=tuple(f"C{j}" for j in range(len(sizes))),
    )


def in_order(ids: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return codes of ids (rows,), from 1 in the order of appearance, and the id of every code, 0 of code 0."""
    distinct, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    order = first.argsort()
    code = np.empty(len(order), np.int32)
    code[order] = np.arange(1, len(order) + 1)
    return code[inverse], np.concatenate([np.zeros(1, np.int32), distinct[order]])


def paper_config() -> Config:
    """Return the paper's dimensions and rates, which are the defaults."""
    return Config.model_validate(
        {
            "run": "unused",
            "data": {"schema": "criteo", "raw": "day_{day}", "days": 2},
            "search": {"days": 1},
            "train": {"days": 1, "test_day": 2, "warmup_days": 0},
        }
    )


def endless(feed: Feed) -> Iterator[Batch]:
    """Feed the day again and again."""
    while True:
        yield from feed


def products() -> dict[str, Callable[[], object]]:
    """Return ways to multiply two square matrices."""
    a, b = torch.randn(2, SQUARE, SQUARE).unbind()
    found: dict[str, Callable[[], object]] = {"torch.matmul": lambda: a @ b}
    if torch.backends.mkldnn.is_available():
        found["oneDNN"] = lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return found


def seconds(function: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def difference(ours: Ours, naive: NaiveSearch, batch: Batch) -> float:
    """Return how far the two supernets' logits are apart on equal weights and embeddings, relative to the largest.

    Heads are given torch's usual weights for it: ours begins at 0, and so would all logits.
    """
    ours.network.head.reset_parameters()
    naive.supernet.load_state_dict(ours.network.state_dict())
    with torch.no_grad():
        embedded = ours.bilevel.model.embedding(batch.sparse)
        mixing = ours.bilevel.weights.sample(1.0, torch.Generator().manual_seed(2))
        expected = naive.supernet(batch.dense, embedded, mixing)
        found = ours.network(batch.dense, embedded, mixing)
    return float((found - expected).abs().max() / expected.abs().max())


def main() -> None:
    """Measure and print."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    torch.set_num_threads(threads)
    config = paper_config()
    importance = Mixing(*(torch.rand(config.model.blocks, 5) for _ in range(2)))
    claims: list[tuple[Any, ...]] = []
    with tempfile.TemporaryDirectory() as name:
        manifest = write_day(Path(name), 1 << 18)
        ours = Ours(config, importance, iter(()))
        naive = NaiveSearch(config, TABLE_SIZES, DENSE, importance)
        print(f"{threads} threads, {sum(TABLE_SIZES):,} embedding rows", flush=True)
        for batch in BATCHES:
            ours.batches = endless(Feed(manifest, 1, batch, shuffle_seed=1))
            apart = difference(ours, naive, next(ours.batches))
            claims += measure(config, ours, naive, batch, apart)
    for one in claims:
        claim(*one)


def measure(
    config: Config, ours: Ours, naive: NaiveSearch, batch: int, apart: float
) -> list[tuple[str, float, str, float, bool]]:
    """Take all measurements for a batch size in turn, print medians, return the claims."""
    pair = next(ours.batches), next(ours.batches)
    todo: dict[str, Callable[[], object]] = {"ours": ours.step, "naive": lambda: naive.step(*pair), **products()}
    for function in todo.values():
        function()  # warms up
    ours.clock.seconds.clear()
    taken: dict[str, list[float]] = {name: [] for name in todo}
    for _ in range(ROUNDS[batch]):
        for name, function in todo.items():
            taken[name].append(seconds(function))
    macs = needed_macs(config, batch)
    best = {name: median(values) for name, values in taken.items()}
    rates = {name: SQUARE**3 / best[name] / 1e9 for name in products()}
    rate = macs / best["ours"] / 1e9
    print(f"batch {batch}: {macs / 1e9:.1f} GMAC a step; logits {apart:.1e} from the naive supernet's")
    for name in ("ours", "naive"):
        low, high = min(taken[name]), max(taken[name])
        rows = 2 * batch / best[name]
        print(f"  {name:12} {best[name]:7.3f} s ({low:.3f} to {high:.3f}), {rows:,.0f} rows/s")
    for name, value in {**rates, "ours": rate, "naive": macs / best["naive"] / 1e9}.items():
        print(f"  {name:12} {value:7.1f} GMAC/s")
    total = ours.clock.total
    shares = ("feed", "embeddings", "forward", "backward", "optimizer")
    print("  " + ", ".join(f"{name} {ours.clock.seconds[name] / total:.1%}" for name in shares), flush=True)
    against = [(f"{name}'s", rate / value) for name, value in rates.items()]
    ratio = median(slow / fast for slow, fast in zip(taken["naive"], taken["ours"], strict=True))
    return [
        (f"bilevel step at batch {batch}, share of {name} rate", share, "", 0.6, share >= 0.6)
        for name, share in against
    ] + [(f"bilevel step at batch {batch} against the naive one", ratio, "x", 1.7, ratio >= 1.7)]


if __name__ == "__main__":
    main()
