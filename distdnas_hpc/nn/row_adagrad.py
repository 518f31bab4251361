"""Exact Adagrad on the touched rows of an embedding table, each once a step (Duchi et al., 2011)."""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.fbgemm import EPSILON, load_fbgemm, update_by_fbgemm

RADIX_BITS = 13
"""Of a row's number at a time: two passes sort rows of tables up to 67 million, and the counts fit into a core's L2."""


class RowAdagrad(torch.optim.Optimizer):
    """`torch.optim.Adagrad` on the whole table, computed on the rows that a batch looked up.

    A row's sum of squares grows by the square of its whole gradient, however often the batch has the row; rows without
    a gradient don't change. On a CPU a row's gradients are added in the order of the batch, so equal batches give equal
    tables with any number of threads.

    Parameters
    ----------
    embedding : on its final device.
    backend : 'rows' for the kernel below or 'fbgemm', on CPUs in float32; on other devices, and in other types, torch's
        operations do it. All keep the same state.

    Raises
    ------
    UserError : fbgemm is asked for and can't be loaded.
    """

    def __init__(self, embedding: Embedding, lr: float, backend: Literal["rows", "fbgemm"] = "rows") -> None:
        super().__init__(embedding.parameters(), {"lr": lr})
        self._embedding = embedding
        self._update = update_anywhere
        if embedding.weight.device.type == "cpu" and embedding.weight.dtype == torch.float32:
            self._update = {"rows": update_on_cpu, "fbgemm": update_by_fbgemm}[backend]
        if self._update is update_by_fbgemm:
            load_fbgemm()
        self.state[embedding.weight]["sum"] = torch.zeros_like(embedding.weight, requires_grad=False)

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles take along: the embedding too, which torch's optimizers would leave out."""
        return super().__getstate__() | {"_embedding": self._embedding, "_update": self._update}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of looked-up rows."""
        super().zero_grad(set_to_none)
        self._embedding.gradients.clear()

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the rows that have gradients."""
        if not self._embedding.gradients:
            return
        weight = self._embedding.weight
        rows, gradient = _joined(self._embedding.gradients)
        self._update(weight.detach(), self.state[weight]["sum"], rows, gradient, self.param_groups[0]["lr"])


def _joined(gradients: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return the rows (n,) of all lookups and their gradients (n, dim_s); usually there is one, and nothing to copy."""
    rows, of_rows = zip(*((rows.flatten(), gradient.flatten(0, -2)) for rows, gradient in gradients), strict=True)
    return (rows[0], of_rows[0]) if len(rows) == 1 else (torch.cat(rows), torch.cat(of_rows))


def update_on_cpu(weight: Tensor, squares: Tensor, rows: Tensor, gradient: Tensor, lr: float) -> None:
    """Update `weight` and `squares` (table rows, dim_s), float32, in place.

    Parameters
    ----------
    rows : (n,) int64, rows of the table, repeated or not.
    gradient : (n, dim_s), of each.
    """
    passes = -(-len(weight).bit_length() // RADIX_BITS)
    order = radix_argsort(rows.numpy(), passes)
    ordered = rows.numpy()[order]
    update_rows(weight.numpy(), squares.numpy(), ordered, order, gradient.numpy(), np.float32(lr))


def update_anywhere(weight: Tensor, squares: Tensor, rows: Tensor, gradient: Tensor, lr: float) -> None:
    """Do what `update_on_cpu` does in torch's terms, without waiting for the device.

    `torch.unique` would wait, to learn how many rows are distinct. Here there is room for n distinct rows; what is not
    used stands for row 0 and adds 0 to it.
    """
    ordered, order = rows.sort()
    number = torch.zeros_like(ordered)
    number[1:] = (ordered[1:] != ordered[:-1]).cumsum(0)
    distinct = torch.zeros_like(ordered).scatter_(0, number, ordered)
    total = torch.zeros_like(gradient).index_add_(0, number, gradient[order])
    squares.index_add_(0, distinct, total.square())
    weight.index_add_(0, distinct, total / (squares[distinct].sqrt() + EPSILON), alpha=-lr)


@compiled
def radix_argsort(keys: NDArray[np.int64], passes: int) -> NDArray[np.int64]:
    """Return the stable order that sorts keys from 0 below 2 ** (passes · RADIX_BITS)."""
    size = 1 << RADIX_BITS
    order, other = np.arange(len(keys)), np.empty(len(keys), np.int64)
    for number in range(passes):
        shift = number * RADIX_BITS
        start = np.zeros(size + 1, np.int64)
        for key in keys:
            start[((key >> shift) & (size - 1)) + 1] += 1
        for digit in range(size):
            start[digit + 1] += start[digit]
        for i in order:
            digit = (keys[i] >> shift) & (size - 1)
            other[start[digit]] = i
            start[digit] += 1
        order, other = other, order
    return order


@compiled
def update_rows(
    weight: NDArray[np.float32],
    squares: NDArray[np.float32],
    ordered: NDArray[np.int64],
    order: NDArray[np.int64],
    gradient: NDArray[np.float32],
    lr: np.float32,
) -> None:
    """Walk the looked-up rows in the table's order, add up the gradients of equal ones, and update each once.

    Parameters
    ----------
    ordered : (n,) the looked-up rows in the order of the table.
    order : (n,) where in `gradient` each of them has its gradient.
    """
    width = weight.shape[1]
    total = np.empty(width, np.float32)
    epsilon = np.float32(EPSILON)
    i = 0
    while i < len(order):
        row = ordered[i]
        total[:] = 0
        while i < len(order) and ordered[i] == row:
            for j in range(width):
                total[j] += gradient[order[i], j]
            i += 1
        for j in range(width):
            square = squares[row, j] + total[j] * total[j]
            squares[row, j] = square
            weight[row, j] -= lr * total[j] / (np.sqrt(square) + epsilon)
