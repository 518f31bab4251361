"""Exact Adagrad by fbgemm (github.com/pytorch/FBGEMM), an optional package."""

import torch
from torch import Tensor

from distdnas_hpc.errors import UserError

EPSILON = 1e-10
"""Added to the root of a sum of squares, as `torch.optim.Adagrad` does."""

_SUM = 0
"""fbgemm's number of the way in which it pools the rows of a bag; every bag is one row here."""


def load_fbgemm() -> None:
    """Make fbgemm's operations known to torch.

    Raises
    ------
    UserError : it is not installed, or not made for this torch.
    """
    try:
        import fbgemm_gpu  # noqa: F401 (registers them)

        torch.ops.fbgemm.split_embedding_backward_codegen_adagrad_cpu  # noqa: B018 (says whether it is there)
    except (ImportError, OSError, AttributeError) as error:
        raise UserError(
            f"optimizer.embedding_backend is 'fbgemm', but that package can't be used here ({error}); install it with "
            "pip install 'distdnas-hpc[fbgemm]', in the version made for this torch, or choose 'rows'."
        ) from None


def update_by_fbgemm(weight: Tensor, squares: Tensor, rows: Tensor, gradient: Tensor, lr: float) -> None:
    """Do what `row_adagrad.update_on_cpu` does: update `weight` and `squares` (table rows, dim_s) in place.

    fbgemm has this as the backward pass of its look-ups; here it gets one table, and each looked-up row as a bag.

    Parameters
    ----------
    rows : (n,) int64, rows of the table, repeated or not.
    gradient : (n, dim_s), of each.
    """
    looked_up, width = gradient.shape
    on_host, from_start = torch.zeros(1, dtype=torch.int32), torch.zeros(1, dtype=torch.int64)  # of the only table
    torch.ops.fbgemm.split_embedding_backward_codegen_adagrad_cpu(
        gradient,
        *(weight.view(-1), on_host, from_start),
        *(torch.tensor([0, width], dtype=torch.int32), width),
        *(torch.tensor([0, len(weight)]), len(weight).bit_length()),
        *(rows, torch.arange(looked_up + 1), _SUM, torch.empty(0), False),
        *(squares.view(-1), on_host, from_start),
        *(torch.tensor(lr), EPSILON),
    )
