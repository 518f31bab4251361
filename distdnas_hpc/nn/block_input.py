"""What a choice block reads (DESIGN §4)."""

from typing import NamedTuple

from torch import Tensor


class BlockInput(NamedTuple):
    """Inputs of a block's modules.

    Attributes
    ----------
    dense : (B, width), the dense outputs of the previous two blocks side by side; in block 1 the stem's alone.
    left, right : (B, dim_d), those two apart, the nearer one first; in block 1 both are the stem's.
    stem : (B, dim_d), x0.
    sparse : (B, count, dim_s), the previous block's sparse output; in block 1 the embeddings.
    """

    dense: Tensor
    left: Tensor
    right: Tensor
    stem: Tensor
    sparse: Tensor


class Shape(NamedTuple):
    """Sizes that differ between block 1 and later ones: `width` of the dense and `vectors` of the sparse input."""

    width: int
    vectors: int
