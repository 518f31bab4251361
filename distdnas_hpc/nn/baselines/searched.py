"""Networks that earlier searches found: blocks of one dense and one sparse module with free connections (NASRec)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.block import factorization_machine
from distdnas_hpc.nn.block_input import BlockInput, Shape
from distdnas_hpc.nn.dense_modules import DotProduct, LinearModule
from distdnas_hpc.nn.products import Linear
from distdnas_hpc.nn.sparse_modules import EmbedFC, Transformer


@dataclass(frozen=True)
class Found:
    """A block as its search left it.

    Attributes
    ----------
    dense, width : the dense module and the width of its output.
    sparse : the sparse module; None where nothing reads its output. What NASRec and AutoCTR call linear3d maps the
        middle axis: here it is embed_fc.
    dense_from : blocks whose dense outputs the dense module reads, side by side; of sigmoid_gating left and right. The
        stem is block 0.
    sparse_from : blocks whose sparse outputs both modules read.
    to_sparse, to_dense : whether the dense output is merged into the sparse side, a factorization machine of the sparse
        output into the dense side.
    """

    dense: Literal["linear", "dot_product", "sigmoid_gating"]
    width: int
    sparse: Literal["transformer", "embed_fc"] | None
    dense_from: tuple[int, ...]
    sparse_from: tuple[int, ...]
    to_sparse: bool = False
    to_dense: bool = False


class SearchedNetwork(nn.Module):
    """The 'tiny' variant of a found architecture (paper §V-A).

    No dense output is wider than baseline_width, every sparse output has N_s vectors, of which a merged dense output
    makes one half, and the stem is a Linear to dim_d.

    Parameters
    ----------
    found : blocks by their number, from 1; only the last one's outputs reach the logit.
    """

    def __init__(self, found: Mapping[int, Found], model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        self.stem = Linear(dense, model.dim_d)
        self.blocks = nn.ModuleDict()
        widths, counts = {0: model.dim_d}, {0: sparse}
        for number, block in found.items():
            widths[number], counts[number] = min(block.width, model.baseline_width), model.n_s
            dims = model.model_copy(update={"dim_d": widths[number]})
            self.blocks[str(number)] = SearchedBlock(block, widths, counts, dims)
        self.last = max(found)
        self.head = Linear(widths[self.last] + model.n_s * model.dim_s, 1)

    def forward(self, dense: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B,) of dense features (B, dense) and embeddings (B, sparse, dim_s)."""
        outputs = {0: (self.stem(dense), embedded)}
        for number, block in self.blocks.items():
            outputs[int(number)] = block(outputs)
        last, vectors = outputs[self.last]
        return self.head(torch.cat([last, vectors.flatten(1)], dim=1)).squeeze(1)


class SearchedBlock(nn.Module):
    """One block, with mergers and LayerNorms as in `nn.block`.

    Parameters
    ----------
    widths, counts : of the dense and sparse outputs of the stem and of the blocks before it.
    model : dimensions; dim_d is the width of this block's dense output.
    """

    def __init__(self, found: Found, widths: Mapping[int, int], counts: Mapping[int, int], model: Model) -> None:
        super().__init__()
        self.found = found
        shape = Shape(sum(widths[i] for i in found.dense_from), sum(counts[i] for i in found.sparse_from))
        if found.dense == "sigmoid_gating":
            left, right = found.dense_from
            self.dense: nn.Module = SigmoidGating(widths[left], widths[right], model)
        else:
            self.dense = (LinearModule if found.dense == "linear" else DotProduct)(shape, model)
        self.norm_dense = nn.LayerNorm(model.dim_d)
        if found.sparse is None:
            return
        merged = model.n_s // 2 if found.to_sparse else 0
        dims = model.model_copy(update={"n_s": model.n_s - merged})
        self.sparse = (Transformer if found.sparse == "transformer" else EmbedFC)(shape, dims)
        self.norm_sparse = nn.LayerNorm(model.dim_s)
        self.to_sparse = Linear(model.dim_d, merged * model.dim_s) if merged else None
        self.to_dense = Linear(model.dim_s, model.dim_d) if found.to_dense else None

    def forward(self, outputs: Mapping[int, tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Return (B, width) and (B, N_s, dim_s), or no vectors, of the outputs of the blocks before this one."""
        sources = [outputs[i][0] for i in self.found.dense_from]
        vectors = [outputs[i][1].transpose(0, 1) for i in self.found.sparse_from]
        stem, embedded = outputs[0]
        sparse = torch.cat(vectors).transpose(0, 1) if vectors else embedded[:, :0]
        x = BlockInput(torch.cat(sources, dim=1), sources[0], sources[-1], stem, sparse)
        dense = self.dense(x)
        if self.found.sparse is None:
            return self.norm_dense(dense), embedded[:, :0]
        sparse = self.sparse(x)
        vectors = [sparse.transpose(0, 1)]
        if self.to_sparse is not None:
            vectors.append(self.to_sparse(dense).unflatten(1, (-1, sparse.shape[2])).transpose(0, 1))
        if self.to_dense is not None:
            dense = dense + self.to_dense(factorization_machine(sparse))
        return self.norm_dense(dense), self.norm_sparse(torch.cat(vectors)).transpose(0, 1)


class SigmoidGating(nn.Module):
    """W₂ (σ(W₁ x_left + b₁) ⊙ x_right) + b₂; zeros make up for the shorter source."""

    def __init__(self, left: int, right: int, model: Model) -> None:
        super().__init__()
        self.both = max(left, right)
        self.gate = Linear(left, self.both)
        self.project = Linear(self.both, model.dim_d)

    def forward(self, x: BlockInput) -> Tensor:
        """Return (B, dim_d)."""
        right = nn.functional.pad(x.right, (0, self.both - x.right.shape[1]))
        return self.project(torch.sigmoid(self.gate(x.left)) * right)
