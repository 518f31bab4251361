"""All categorical columns' embeddings in one table, so that a batch is one lookup and one gradient of its rows."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Embedding(nn.Module):
    """Embeddings of F categorical columns, their tables stacked in one.

    Weights start uniform within ±√(1/rows) of each table, as in the DLRM reference.

    The table has 28 million rows at the paper's size and a batch touches some ten thousand, so its gradient never
    becomes a tensor of the table's shape, nor a sparse one of torch's, which would sort its rows: the backward pass
    leaves the gradients of the looked-up rows in `gradients` for `nn.row_adagrad`.

    Parameters
    ----------
    table_sizes : rows of each column's table, id 0 (missing or unseen) included.
    dim_s : embedding dimension.

    Attributes
    ----------
    weight : (rows of all tables, dim_s).
    gradients : of each lookup that a backward pass reached: rows of `weight`, (F, B), and their gradient (F, B, dim_s).
        They add up until they are cleared.
    """

    offsets: Tensor

    def __init__(self, table_sizes: Sequence[int], dim_s: int) -> None:
        super().__init__()
        sizes = torch.tensor(table_sizes)
        self.register_buffer("offsets", torch.cumsum(sizes, 0) - sizes)
        self.weight = nn.Parameter(torch.empty(sum(table_sizes), dim_s))
        self.gradients: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            for table in self.weight.split(list(table_sizes)):
                bound = (1 / len(table)) ** 0.5
                table.uniform_(-bound, bound)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ids (B, F), each from 0 below its table's size; returns (B, F, dim_s).

        In memory the columns come one after the other, each with all its rows of the batch: the order that products
        along the middle axis read (`nn.products`).
        """
        rows = (ids + self.offsets).t().contiguous()
        found: Tensor = _LookUp.apply(self.weight, rows, self.gradients)  # type: ignore[no-untyped-call]
        return found.transpose(0, 1)


class _LookUp(torch.autograd.Function):
    """Rows of a table; the backward pass keeps their gradient instead of scattering it."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: Tensor, gradients: list[tuple[Tensor, Tensor]]) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.gradients = gradients
        return nn.functional.embedding(rows, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None]:
        ctx.gradients.append((*ctx.saved_tensors, gradients[0]))
        return None, None, None
