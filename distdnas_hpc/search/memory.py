"""How much memory the search of a day needs at most, said before it starts; a day's length plays no part."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from distdnas_hpc.config import Config, Model
from distdnas_hpc.data.feed import BATCHES_ALIVE
from distdnas_hpc.data.shards import CHUNK_ROWS
from distdnas_hpc.data.shuffle import BUFFER_CHUNKS
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.network import Mixing, Network
from distdnas_hpc.nn.row_parallel import parts_of
from distdnas_hpc.search.bilevel import BATCHES

PROGRAM = 1_000_000_000
"""Python, torch and other libraries, 500 MB at first; what the first steps bring, and 250 MB to compile the kernels."""

WORKING = 1.1
"""Bytes in the middle of a backward pass for each that the forward pass kept; seen on CPUs, which keep less: 0.9."""


class Memory(NamedTuple):
    """Bytes of a task by what they hold; the first and the last lie on the host, the others on the device.

    Attributes
    ----------
    program : see `PROGRAM`.
    tables : embeddings and Adagrad's sums of their squares.
    network : weights, their gradients, Adam's two moments; copies that the step makes.
    activations : what the forward pass keeps of a batch, and the backward pass adds.
    feed : two buffers of rows to shuffle, batches on their way.
    """

    program: int
    tables: int
    network: int
    activations: int
    feed: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in self._asdict().items())
        return f"at most {self.total / 1e9:.2f} GB of memory ({parts})"


def search_memory(
    config: Config, table_sizes: Sequence[int], dense: int, sparse: int, device: torch.device | None = None
) -> Memory:
    """Return an upper bound of a search task's peak, from the paper's dimensions to tiny ones; allocates no tables.

        tables      = 2 · 4 · rows of all tables · dim_s
        network     = 4 · weights · (4 + parts of a batch, 3 more with second order)
        activations = 1.1 · B · (bytes of a row that torch keeps for the backward pass)
        feed        = 2 · 2²⁰ rows · (17 + 4 · columns) + 6 · B · (4 + 4 · dense + 8 · sparse)

    What the system can take back at any time, files mapped into memory, is not in it: the ids of the day's codes, and
    a checkpoint while a task goes on from it.

    Parameters
    ----------
    table_sizes : rows of each embedding table.
    dense, sparse : columns of each kind.
    device : where the task runs; None: what is needed where most is, on a GPU.
    """
    model, batch = config.model, config.search.batch_size

    with torch.device("meta"):
        supernet = Network(Architecture.full(model.blocks), model, dense, sparse)
    weights = sum(parameter.numel() for parameter in supernet.parameters())
    copies = 4 + parts_of(batch, config.cluster.threads) + (3 if config.search.bilevel == "second_order" else 0)
    buffered = 2 * BUFFER_CHUNKS * CHUNK_ROWS * (17 + 4 * (dense + sparse))
    of_batches = (BATCHES_ALIVE + BATCHES[config.search.bilevel]) * batch * (4 + 4 * dense + 8 * sparse)
    return Memory(
        program=PROGRAM,
        tables=2 * 4 * sum(table_sizes) * model.dim_s,
        network=4 * weights * copies,
        activations=round(WORKING * batch * _kept(supernet, model, dense, sparse, device)),
        feed=buffered + of_batches,
    )


def _kept(supernet: Network, model: Model, dense: int, sparse: int, device: torch.device | None) -> float:
    """Return how many bytes a row of a forward pass adds to what is kept for the backward pass.

    On the meta device blocks are made of torch's operations, as on a GPU, and keep more than those of a CPU, whose
    kernels compute again what happens among the sparse vectors.
    """
    where = "cpu" if device is not None and device.type == "cpu" else "meta"
    supernet = supernet.to_empty(device=where)  # what is in it doesn't matter
    bytes_of = []
    for rows in (32, 64):
        kept: dict[int, int] = {}

        def keep(tensor: Tensor, kept: dict[int, int] = kept) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage._cdata] = storage.nbytes()
            return tensor

        with torch.device(where), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            embedded = torch.empty(sparse, rows, model.dim_s).transpose(0, 1).requires_grad_()
            mixing = Mixing(*(torch.empty(model.blocks, 5).requires_grad_() for _ in range(2)))
            graph = supernet(torch.empty(rows, dense), embedded, mixing)
        bytes_of.append(sum(kept.values()))
        del graph  # not before: another tensor could get the place of one that is kept
    return (bytes_of[1] - bytes_of[0]) / 32
