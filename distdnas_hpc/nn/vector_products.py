"""What happens among the few small vectors of each row: attention, and the inner products of all pairs.

On CPUs by compiled kernels, elsewhere, and where MACs are counted, in torch's matrix products. Vectors come as
(vectors, B, dim_s): one after the other, each for all rows of the batch.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distdnas_hpc.nn.vector_kernels import attention_backward, attention_forward, pairs_backward, pairs_forward


def attention(query: Tensor, key_value: Tensor, heads: int) -> Tensor:
    """Return softmax(Q Kᵀ / √(dim_s/heads)) V in each head (Vaswani et al., 2017, §3.2).

    Parameters
    ----------
    query : (n, B, dim_s).
    key_value : (m, B, 2 dim_s), keys before values.

    Returns
    -------
    (n, B, dim_s), the heads side by side.
    """
    if has_kernels(key_value):
        found: Tensor = _Attention.apply(query, key_value, heads)  # type: ignore[no-untyped-call]
        return found
    key, value = key_value.chunk(2, dim=-1)
    q, k, v = (part.transpose(0, 1).unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
    attended = torch.matmul(torch.softmax(scores, dim=-1), v)
    return attended.transpose(1, 2).flatten(2).transpose(0, 1)


def pair_products(vectors: Tensor) -> Tensor:
    """Return the inner products of all pairs i > j of vectors (k, B, dim_s), in rows of the lower triangle.

    Returns
    -------
    (B, k·(k-1)/2).
    """
    if has_kernels(vectors):
        found: Tensor = _PairProducts.apply(vectors)  # type: ignore[no-untyped-call]
        return found
    rows = vectors.transpose(0, 1)
    products = torch.bmm(rows, rows.transpose(1, 2))
    i, j = torch.tril_indices(len(vectors), len(vectors), offset=-1, device=vectors.device)
    return products.flatten(1).index_select(1, i * len(vectors) + j)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key_value: Tensor, heads: int) -> Tensor:
        query, key_value = query.contiguous(), key_value.contiguous()
        ctx.save_for_backward(query, key_value)
        ctx.heads = heads
        attended = torch.empty_like(query)
        attention_forward(heads, *arrays(query, key_value, attended))
        return attended

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        query, key_value = ctx.saved_tensors
        of_both = torch.empty_like(query), torch.empty_like(key_value)
        attention_backward(ctx.heads, *arrays(query, key_value, gradients[0].contiguous(), *of_both))
        return *of_both, None


class _PairProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        vectors = vectors.contiguous()
        ctx.save_for_backward(vectors)
        count, rows, _ = vectors.shape
        products = vectors.new_empty(count * (count - 1) // 2, rows)
        pairs_forward(*arrays(vectors, products))
        return products.t()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (vectors,) = ctx.saved_tensors
        of_vectors = torch.empty_like(vectors)
        pairs_backward(*arrays(vectors, gradients[0].contiguous(), of_vectors))
        return of_vectors


def has_kernels(tensor: Tensor) -> bool:
    """Whether the compiled kernels take this tensor."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and not torch.compiler.is_compiling()


def arrays(*tensors: Tensor) -> list[NDArray[np.float32]]:
    """Return tensors as a kernel takes them."""
    return [tensor.detach().numpy() for tensor in tensors]
