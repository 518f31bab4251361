"""What more processes bring: independent days against data-parallel DNAS, `python -m benchmarks.scaling`.

The paper's Figure 4 on CPUs, one thread a process, for k = 1 and 2 at the paper's dimensions and batch of 4,096 rows:

- *days*: k processes step a search each, on a day of its own, as this package does;
- *DNAS*: the same k processes search one supernet together, on the same rows: process i takes its batches from day i,
  torch's DistributedDataParallel (gloo) averages the network's gradients while they are computed, the gradients of
  looked-up embeddings are gathered from all processes, as a table's sparse gradient would be, and every process
  applies them to its copy of the tables; gradients of A and B are averaged.

A batch of DNAS is 4,096 rows in all, as Algorithm 1 has it for one process; or ("large batch") 4,096 rows of each
process, which communicates half as often but is another search, with half as many steps. DNAS does not pay here for
tables that are divided among devices, since those of this benchmark (0.5 million rows at most each) fit into every
process, nor for a network between machines.

Rounds take all measurements in turn, by the same processes on the same supernets; printed are medians. The efficiency
of days is told by the clock, and by the processor time that a row takes: the second leaves out what other programs take
from this machine, not that processors may clock lower with two at work.
"""
# ruff: noqa: T201

import tempfile
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing import get_context
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.parallel import DistributedDataParallel

from benchmarks.claim import claim
from benchmarks.search import Ours, endless, paper_config, write_day
from distdnas_hpc.data.criteo_terabyte import CARDINALITIES
from distdnas_hpc.data.feed import Batch, Feed
from distdnas_hpc.nn import row_parallel
from distdnas_hpc.nn.network import Mixing

PROCESSES = 2
BATCH = 4096
TABLE_SIZES = tuple(min(values + 1, 500_000) for values in CARDINALITIES)
DAY_ROWS = 1 << 17
ROUNDS = 9
ROWS = 2 * BATCH
"""That a process goes over in a round, for each measurement: a step of a day's search."""


class WithoutTables(nn.Module):
    """What DistributedDataParallel sees: a network that computes as it does inside `CTRModel`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, dense: Tensor, embedded: Tensor, mixing: Mixing) -> Tensor:
        """Return logits (B,)."""
        return row_parallel.forward(self.network, dense, embedded, mixing)


class DataParallel:
    """The first-order step of `search.bilevel`, taken by all processes together on the search that each has."""

    def __init__(self, search: Ours) -> None:
        self.search = search
        self.network = DistributedDataParallel(WithoutTables(search.bilevel.model.network))

    def step(self, w_batch: Batch, architecture_batch: Batch, gumbel: torch.Generator) -> None:
        """Take a step, each process with its part of both batches; all draw the same noise."""
        search, model, weights = self.search, self.search.bilevel.model, self.search.bilevel.weights
        search.bilevel.w_optimizers.zero_grad()
        with torch.no_grad():
            mixing = weights.sample(1.0, gumbel)
        logits = self.network(w_batch.dense, model.embedding(w_batch.sparse), mixing)
        binary_cross_entropy_with_logits(logits, w_batch.label).backward()
        model.embedding.gradients[:] = gathered(*model.embedding.gradients[0])
        search.bilevel.w_optimizers.step(1.0)

        model.requires_grad_(False)
        mixing = weights.sample(1.0, gumbel)
        logits = model(architecture_batch.dense, architecture_batch.sparse, mixing)
        loss = binary_cross_entropy_with_logits(logits, architecture_batch.label)
        loss = loss + weights.regularisation(search.bilevel.importance, search.bilevel.config.search.gamma)
        logits_of_weights = list(weights.parameters())
        for parameter, gradient in zip(logits_of_weights, torch.autograd.grad(loss, logits_of_weights), strict=True):
            dist.all_reduce(gradient)
            parameter.grad = gradient / PROCESSES
        model.requires_grad_(True)
        search.bilevel.architecture_optimizer.step()


def gathered(rows: Tensor, gradient: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the looked-up rows of all processes and their share of the mean gradient."""
    parts = []
    for tensor in (rows, gradient / PROCESSES):
        parts.append([torch.empty_like(tensor) for _ in range(PROCESSES)])
        dist.all_gather(parts[-1], tensor)
    return list(zip(*parts, strict=True))


def apart(tensor: Tensor) -> float:
    """Return how far a tensor of the first process and of this one are apart."""
    first = tensor.detach().clone()
    dist.broadcast(first, 0)
    return float((first - tensor.detach()).abs().max())


def work(process: int, folder: Path, orders: Connection) -> None:
    """In each way that is told, go over ROWS rows; answer with seconds by the clock and of the processor."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Grad strides")  # of pma's 16 × 16 seeds, which are copied in no time
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=process, world_size=PROCESSES)
    own = folder / f"day_{process}"
    own.mkdir()
    manifest = write_day(own, DAY_ROWS, TABLE_SIZES, seed=process)
    config = paper_config()
    torch.manual_seed(1)
    importance = Mixing(*(torch.rand(config.model.blocks, 5) for _ in range(2)))
    search = Ours(config, importance, endless(Feed(manifest, 1, BATCH, shuffle_seed=1)), TABLE_SIZES)
    together = DataParallel(search)
    gumbel = torch.Generator().manual_seed(2)

    def step(way: str) -> None:
        if way == "days":
            search.step()
            return
        w_batch, architecture_batch = next(search.batches), next(search.batches)
        rows = BATCH if way == "DNAS, large batch" else BATCH // PROCESSES
        for first in range(0, BATCH, rows):
            part = slice(first, first + rows)
            of_w, of_architecture = (Batch(*(x[part] for x in batch)) for batch in (w_batch, architecture_batch))
            together.step(of_w, of_architecture, gumbel)

    step("DNAS")
    parts = [*search.bilevel.model.parameters(), *search.bilevel.weights.parameters()]
    assert max(map(apart, parts)) == 0, "steps together leave one supernet"
    orders.send(None)
    while (way := orders.recv()) is not None:
        begin, begin_cpu = time.perf_counter(), time.process_time()
        step(way)
        orders.send((time.perf_counter() - begin, time.process_time() - begin_cpu))
    dist.destroy_process_group()


def main() -> None:
    """Measure and print."""
    context = get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        pipes = [context.Pipe() for _ in range(PROCESSES)]
        workers = [
            context.Process(target=work, args=(process, Path(name), theirs), daemon=True)
            for process, (_, theirs) in enumerate(pipes)
        ]
        for worker in workers:
            worker.start()
        for _, theirs in pipes:
            theirs.close()
        orders = [ours for ours, _ in pipes]
        for order in orders:
            order.recv()

        def take(way: str, k: int) -> tuple[float, float]:
            """Return rows a second of k processes, and processor seconds a row."""
            for order in orders[:k]:
                order.send(way)
            told = [order.recv() for order in orders[:k]]
            rows = k * ROWS
            return rows / max(seconds for seconds, _ in told), sum(cpu for _, cpu in told) / rows

        ways = (("days", 1), ("days", 2), ("DNAS", 2), ("DNAS, large batch", 2))
        taken: dict[tuple[str, int], list[tuple[float, float]]] = {way: [] for way in ways}
        for number in range(ROUNDS):
            for way, k in ways[:: -1 if number % 2 else 1]:
                taken[way, k].append(take(way, k))
                print(f"  {way} k={k}: {taken[way, k][-1][0]:,.0f} rows/s", flush=True)
        for order in orders:
            order.send(None)
        for worker in workers:
            worker.join()
    report(taken)


def report(taken: dict[tuple[str, int], list[tuple[float, float]]]) -> None:
    """Print medians and claims; ratios are taken within a round."""
    print(f"batch {BATCH} a process, one thread each, {sum(TABLE_SIZES):,} embedding rows, {ROUNDS} rounds")
    for (way, k), found in taken.items():
        rates, processor = zip(*found, strict=True)
        spread, microseconds = f"{min(rates):,.0f} to {max(rates):,.0f}", 1e6 * median(processor)
        print(f"  {way} k={k}  {median(rates):7,.0f} rows/s ({spread}), {microseconds:.1f} µs of processor a row")
    rounds: list[Any] = list(zip(*taken.values(), strict=True))
    by_clock = median(two[0] / (2 * one[0]) for one, two, *_ in rounds)
    by_processor = median(one[1] / two[1] for one, two, *_ in rounds)
    claim("days' efficiency at k = 2, by the clock", by_clock, "", 0.9, by_clock >= 0.9)
    claim("days' efficiency at k = 2, by processor time a row", by_processor, "", 0.9, by_processor >= 0.9)
    for number, name in ((2, "data-parallel DNAS"), (3, "data-parallel DNAS of twice the batch")):
        over = median(found[1][0] / found[number][0] for found in rounds)
        claim(f"days over {name} at k = 2, rows/s", over, "x", 1.0, over >= 1.0)


if __name__ == "__main__":
    main()
