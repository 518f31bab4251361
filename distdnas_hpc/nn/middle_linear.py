"""A Linear over the middle axis of sparse vectors."""

from torch import Tensor, nn


class MiddleLinear(nn.Linear):
    """(B, vectors in, dim_s) → (B, vectors out, dim_s); every embedding coordinate is treated alike."""

    def forward(self, input: Tensor) -> Tensor:
        """Mix the vectors."""
        return super().forward(input.transpose(1, 2)).transpose(1, 2)
