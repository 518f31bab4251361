"""A Linear over the middle axis of sparse vectors."""

from torch import Tensor, nn

from distdnas_hpc.nn.products import product


class MiddleLinear(nn.Linear):
    """(B, vectors in, dim_s) → (B, vectors out, dim_s); every embedding coordinate is treated alike.

    One product of the weights and a matrix of B·dim_s columns. It copies nothing where the vectors come one after the
    other in memory, each for all rows of the batch, and so do its own (see `nn.sparse_modules`).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Mix the vectors."""
        rows, _, dim_s = input.shape
        vectors = input.transpose(0, 1).reshape(self.in_features, rows * dim_s)
        mixed = product(self.weight, vectors.t()) + self.bias[:, None]
        return mixed.unflatten(1, (rows, dim_s)).transpose(0, 1)
