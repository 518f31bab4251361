"""The bilevel step as one would write it first: what `benchmarks.search` has to beat, and a check of its numbers.

26 `nn.Embedding(sparse=True)` with `torch.optim.Adagrad`, every module with products of its own, and for A and B a
second full backward, which computes the gradients of everything. The weights have the names of `nn.network.Network`'s.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from distdnas_hpc.config import Config, Model
from distdnas_hpc.data.feed import Batch
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.nn.network import Mixing
from distdnas_hpc.search.weights import ArchitectureWeights


class MiddleLinear(nn.Linear):
    """Mix the vectors."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, vectors in, dim_s) → (B, vectors out, dim_s)."""
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class DotProduct(nn.Module):
    """Pairwise inner products, projected."""

    def __init__(self, width: int, vectors: int, model: Model) -> None:
        super().__init__()
        k = round((2 * model.dim_d) ** 0.5)
        self.dense, self.sparse = nn.Linear(width, model.dim_s), MiddleLinear(vectors, k)
        self.rows, self.columns = torch.tril_indices(k + 1, k + 1, offset=-1)
        self.project = nn.Linear(len(self.rows), model.dim_d)

    def forward(self, dense: Tensor, sparse: Tensor) -> Tensor:
        """Return (B, dim_d)."""
        vectors = torch.cat([self.dense(dense).unsqueeze(1), self.sparse(sparse)], dim=1)
        return self.project(torch.bmm(vectors, vectors.transpose(1, 2))[:, self.rows, self.columns])


class Attention(nn.Module):
    """Multi-head attention."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.heads = model.heads
        self.query, self.key_value = nn.Linear(model.dim_s, model.dim_s), nn.Linear(model.dim_s, 2 * model.dim_s)
        self.out = nn.Linear(model.dim_s, model.dim_s)

    def forward(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """Return (B, queries, dim_s)."""
        parts = (self.query(queries), *self.key_value(vectors).chunk(2, dim=-1))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        scores = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
        return self.out((scores @ v).transpose(1, 2).flatten(2))


class Encoder(nn.Module):
    """`transformer`, or with learned seeds `pma`."""

    def __init__(self, vectors: int, model: Model, *, seeds: bool) -> None:
        super().__init__()
        if seeds:
            self.seeds = nn.Parameter(torch.randn(1, model.n_s, model.dim_s))
        else:
            self.project = _project(vectors, model)
        self.attention = Attention(model)
        self.norm_attention, self.norm_feed_forward = nn.LayerNorm(model.dim_s), nn.LayerNorm(model.dim_s)
        layers: list[nn.Module] = [nn.Linear(model.dim_s, model.dim_s), nn.ReLU()]
        self.feed_forward = nn.Sequential(*layers, *([] if seeds else [nn.Linear(model.dim_s, model.dim_s)]))

    def forward(self, sparse: Tensor) -> Tensor:
        """Return (B, N_s, dim_s)."""
        if hasattr(self, "seeds"):
            queries = self.seeds.expand(len(sparse), -1, -1)
        else:
            queries = sparse = self.project(sparse)
        queries = self.norm_attention(queries + self.attention(queries, sparse))
        return self.norm_feed_forward(queries + self.feed_forward(queries))


class Block(nn.Module):
    """A choice block with all ten modules."""

    def __init__(self, width: int, vectors: int, model: Model) -> None:
        super().__init__()
        d, s = model.dim_d, model.dim_s
        dense: dict[str, nn.Module] = {"identity": nn.Module(), "linear": nn.Module(), "crossnet": nn.Module()}
        dense["dot_product"], dense["pin"] = DotProduct(width, vectors, model), nn.Module()
        for name in ("identity", "pin"):
            dense[name].project = nn.Identity() if width == d else nn.Linear(width, d)
        dense["linear"].linear, dense["crossnet"].gate = nn.Linear(width, d), nn.Linear(d, d)
        dense["pin"].polynomial = nn.Linear(d, d, bias=False)
        sparse: dict[str, nn.Module] = {name: nn.Module() for name in ("identity3d", "linear3d", "embed_fc")}
        sparse["identity3d"].project, sparse["linear3d"].project = _project(vectors, model), _project(vectors, model)
        sparse["linear3d"].linear, sparse["embed_fc"].linear = nn.Linear(s, s), MiddleLinear(vectors, model.n_s)
        sparse["transformer"] = Encoder(vectors, model, seeds=False)
        sparse["pma"] = Encoder(vectors, model, seeds=True)
        self.dense, self.sparse = nn.ModuleDict(dense), nn.ModuleDict(sparse)
        self.dense_to_sparse, self.sparse_to_dense = nn.Linear(d, model.merged * s), nn.Linear(s, d)
        self.norm_dense, self.norm_sparse = nn.LayerNorm(d), nn.LayerNorm(s)

    def forward(
        self, left: Tensor, right: Tensor | None, stem: Tensor, x: Tensor, p: Tensor, q: Tensor
    ) -> list[Tensor]:
        """Return the dense and the sparse output."""
        both = left if right is None else torch.cat([left, right], dim=1)
        right = left if right is None else right
        d: Any = self.dense
        s: Any = self.sparse
        projected = d["pin"].project(both)
        dense = {
            "identity": d["identity"].project(both),
            "linear": torch.relu(d["linear"].linear(both)),
            "dot_product": d["dot_product"](both, x),
            "crossnet": left * d["crossnet"].gate(right) + right,
            "pin": projected * (d["pin"].polynomial(stem) + 1),
        }
        sparse = {
            "identity3d": s["identity3d"].project(x),
            "linear3d": torch.relu(s["linear3d"].linear(s["linear3d"].project(x))),
            "transformer": s["transformer"](x),
            "embed_fc": s["embed_fc"].linear(x),
            "pma": s["pma"](x),
        }
        of_dense = sum((p[j] * dense[name] for j, name in enumerate(DENSE_MODULES)), torch.zeros(()))
        of_sparse = sum((q[j] * sparse[name] for j, name in enumerate(SPARSE_MODULES)), torch.zeros(()))
        merged = self.dense_to_sparse(of_dense).unflatten(1, (-1, x.shape[2]))
        machine = 0.5 * (of_sparse.sum(1).square() - of_sparse.square().sum(1))
        of_dense = self.norm_dense(of_dense + self.sparse_to_dense(machine))
        return [of_dense, self.norm_sparse(torch.cat([of_sparse, merged], dim=1))]


class Supernet(nn.Module):
    """`nn.network.Network(Architecture.full(N), …)`."""

    def __init__(self, model: Model, dense: int, sparse: int) -> None:
        super().__init__()
        copy = nn.Module()
        copy.stem = nn.Linear(dense, model.dim_d)
        sizes = [(model.dim_d, sparse)] + [(2 * model.dim_d, model.n_s + model.merged)] * (model.blocks - 1)
        copy.blocks = nn.ModuleList(Block(*size, model) for size in sizes)
        self.copies = nn.ModuleList([copy])
        self.head = nn.Linear(model.dim_d + (model.n_s + model.merged) * model.dim_s, 1)

    def forward(self, dense: Tensor, embedded: Tensor, mixing: Mixing) -> Tensor:
        """Return logits (B,)."""
        copy: Any = self.copies[0]
        left, right, sparse = copy.stem(dense), None, embedded
        stem = left
        for i, block in enumerate(copy.blocks):
            before = left
            left, sparse = block(left, right, stem, sparse, mixing.dense[i], mixing.sparse[i])
            right = before
        return self.head(torch.cat([left, sparse.flatten(1)], dim=1)).squeeze(1)


class NaiveSearch:
    """The bilevel step on 26 separate tables."""

    def __init__(self, config: Config, table_sizes: Sequence[int], dense: int, importance: Mixing) -> None:
        self.tables = nn.ModuleList(nn.Embedding(n, config.model.dim_s, sparse=True) for n in table_sizes)
        self.supernet = Supernet(config.model, dense, len(table_sizes))
        self.weights = ArchitectureWeights(config.model.blocks)
        self.adagrad = torch.optim.Adagrad(self.tables.parameters(), lr=config.optimizer.embedding_lr)
        self.adam = torch.optim.Adam(self.supernet.parameters(), lr=config.optimizer.dense_lr)
        self.architecture_adam = torch.optim.Adam(self.weights.parameters(), lr=config.search.architecture_lr)
        self.importance, self.gamma, self.gumbel = importance, config.search.gamma, torch.Generator().manual_seed(1)

    def step(self, w_batch: Batch, architecture_batch: Batch) -> None:
        """Train w on one batch, A and B on the other."""
        for batch, optimizers in (
            (w_batch, (self.adagrad, self.adam)),
            (architecture_batch, (self.architecture_adam,)),
        ):
            for module in (self.tables, self.supernet, self.weights):
                module.zero_grad()
            embedded = torch.stack([table(batch.sparse[:, j]) for j, table in enumerate(self.tables)], dim=1)
            logits = self.supernet(batch.dense, embedded, self.weights.sample(1.0, self.gumbel))
            loss = binary_cross_entropy_with_logits(logits, batch.label)
            (loss + self.weights.regularisation(self.importance, self.gamma)).backward()
            with torch.sparse.check_sparse_tensor_invariants(False):
                for optimizer in optimizers:
                    optimizer.step()


def _project(vectors: int, model: Model) -> nn.Module:
    return nn.Identity() if vectors == model.n_s else MiddleLinear(vectors, model.n_s)
