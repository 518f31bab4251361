"""All categorical columns' embeddings in one table, so that a batch is one lookup and one sparse gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Embedding(nn.Module):
    """Embeddings of F categorical columns, their tables stacked in one.

    Weights start uniform within ±√(1/rows) of each table, as in the DLRM reference.

    Parameters
    ----------
    table_sizes : rows of each column's table, id 0 (missing or unseen) included.
    dim_s : embedding dimension.
    """

    offsets: Tensor

    def __init__(self, table_sizes: Sequence[int], dim_s: int) -> None:
        super().__init__()
        sizes = torch.tensor(table_sizes)
        self.register_buffer("offsets", torch.cumsum(sizes, 0) - sizes)
        self.weight = nn.Parameter(torch.empty(int(sizes.sum()), dim_s))
        with torch.no_grad():
            for table in self.weight.split(list(table_sizes)):
                bound = (1 / len(table)) ** 0.5
                table.uniform_(-bound, bound)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ids (B, F), each from 0 below its table's size; returns (B, F, dim_s)."""
        return nn.functional.embedding(ids + self.offsets, self.weight, sparse=True)
