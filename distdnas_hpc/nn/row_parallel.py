"""A network's passes over a batch on a CPU, part by part, several threads at a time.

Threads that each take rows through the whole network share nothing, while threads inside every operation would wait for
one another some thousand times a step, and could not share the compiled kernels. Parts also stay near the caches.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from distdnas_hpc.nn.allocation import keep_freed_memory
from distdnas_hpc.nn.network import Mixing

Result = TypeVar("Result")

MOST_ROWS = 2048
"""Of a part: activations of more fall out of the caches."""

LEAST_ROWS = 256
"""Of a part: with fewer, calling the operations takes longer than computing them."""


def parts_of(rows: int, threads: int) -> int:
    """Return into how many parts a batch is cut at most."""
    return -(-rows // min(MOST_ROWS, -(-rows // threads)))


def forward(network: nn.Module, dense: Tensor, embedded: Tensor, mixing: Mixing | None = None) -> Tensor:
    """Return `network(dense, embedded)`, with `mixing` where it is given; gradients reach all that asks for them.

    Sums over parts have a fixed order: equal inputs and thread counts give equal numbers. Another thread count makes
    other parts, and so rounds differently.

    Parameters
    ----------
    network : treats rows independently, as all networks of this package do; its weights are not changed between the
        forward and the backward pass. What `torch.func.functional_call` puts in their place is taken as they would be:
        all threads have read it when this returns.
    """
    options = {} if mixing is None else {"mixing": mixing}
    threads = torch.get_num_threads()
    rows = min(MOST_ROWS, -(-len(dense) // threads))
    watched = bool(network._forward_hooks)  # by nn.probe, which wants to see modules one after the other
    if dense.device.type != "cpu" or rows >= len(dense) or rows < LEAST_ROWS or watched:
        return network(dense, embedded, **options)
    keep_freed_memory()
    run = partial(_in_threads, threads)
    parts = zip(dense.split(rows), embedded.split(rows), strict=True)
    wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
    shared = *wanted, *(mixing or ())
    if not torch.is_grad_enabled() or not (embedded.requires_grad or any(x.requires_grad for x in shared)):
        inference = torch.is_inference_mode_enabled()
        return torch.cat(run([partial(_only_forward, network, part, options, inference) for part in parts]))
    found: Tensor = _Parts.apply(network, run, list(parts), mixing, embedded, *shared)  # type: ignore[no-untyped-call]
    return found


class _Graph(NamedTuple):
    """A part's forward pass, recorded apart from the others."""

    logits: Tensor
    embedded: Tensor
    shared: tuple[Tensor, ...]


class _Parts(torch.autograd.Function):
    """All parts as one operation of the embeddings and of what the parts share: weights, then mixing weights."""

    @staticmethod
    def forward(
        ctx: Any,
        network: nn.Module,
        run: Callable[..., Any],
        parts: list[tuple[Tensor, Tensor]],
        mixing: Mixing | None,
        embedded: Tensor,
        *shared: Tensor,
    ) -> Tensor:
        weights = shared[: len(shared) - len(mixing or ())]
        ctx.run = run
        ctx.graphs = run([partial(_record, network, part, mixing, weights, embedded.requires_grad) for part in parts])
        return torch.cat([graph.logits.detach() for graph in ctx.graphs])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        graphs: list[_Graph] = ctx.graphs
        parts = gradients[0].split([len(graph.logits) for graph in graphs])
        found = ctx.run([partial(_gradients, *pair) for pair in zip(graphs, parts, strict=True)])
        ctx.graphs = None
        of_embedded, *of_shared = zip(*found, strict=True)
        joined = None if of_embedded[0] is None else torch.cat([x.transpose(0, 1) for x in of_embedded], dim=1)
        sums = [None if of_one[0] is None else _sum(of_one) for of_one in of_shared]
        return None, None, None, None, None if joined is None else joined.transpose(0, 1), *sums


def _record(
    network: nn.Module,
    part: tuple[Tensor, Tensor],
    mixing: Mixing | None,
    weights: tuple[Tensor, ...],
    of_embedded: bool,
) -> _Graph:
    dense, embedded = part
    leaf = _own_vectors(embedded).requires_grad_(of_embedded)
    own = None if mixing is None else Mixing(*(side.detach().requires_grad_(side.requires_grad) for side in mixing))
    with torch.enable_grad():
        logits = network(dense, leaf) if own is None else network(dense, leaf, mixing=own)
    return _Graph(logits, leaf, (*weights, *(own or ())))


def _gradients(graph: _Graph, gradient: Tensor) -> list[Tensor | None]:
    inputs = graph.embedded, *graph.shared
    asked = [x for x in inputs if x.requires_grad]
    found: Iterator[Tensor | None] = iter(torch.autograd.grad(graph.logits, asked, gradient, allow_unused=True))
    return [next(found) if x.requires_grad else None for x in inputs]


def _only_forward(network: nn.Module, part: tuple[Tensor, Tensor], options: dict[str, Any], inference: bool) -> Tensor:
    with torch.inference_mode() if inference else torch.no_grad():
        return network(part[0], _own_vectors(part[1]), **options)


def _own_vectors(embedded: Tensor) -> Tensor:
    """Copy a part of the embeddings so that its vectors lie one after the other."""
    return embedded.detach().transpose(0, 1).contiguous().transpose(0, 1)


def _sum(gradients: tuple[Tensor, ...]) -> Tensor:
    total = gradients[0] + gradients[1]
    for gradient in gradients[2:]:
        total += gradient
    return total


def _in_threads(threads: int, calls: list[Callable[[], Result]]) -> list[Result]:
    if threads == 1:
        return [call() for call in calls]
    return list(_pool(threads).map(lambda call: call(), calls))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Start threads in which torch's operations have one thread each."""
    return ThreadPoolExecutor(threads, "rows", initializer=torch.set_num_threads, initargs=(1,))
