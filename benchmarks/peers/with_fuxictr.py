"""Training with FuxiCTR's own `train_epoch`: arguments are the model, threads, layers, units, rows of each table.

The package brings layers and the training; its models, which it keeps outside of the package, are put together here
from these layers. A dense feature has a vector there, as a token has: there are as many dense features as make all
networks' widths equal. Its batches are in memory: what its loader costs is not counted. Its Adam and its clipping.
"""

import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import (
    CrossNetV2,
    FactorizationMachine,
    FeatureEmbedding,
    MLP_Block,
    ScaledDotProductAttention,
)
from fuxictr.pytorch.models import BaseModel
from serving import draw, serve
from torch import Tensor, nn

name, threads, layers, units, *tables = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
DENSE = {"dcnv2": units // 16, "deepfm": 1, "autoint": units // 16}[name]
features = FeatureMap("benchmark", ".")
features.features = OrderedDict(
    {f"C{j}": {"type": "categorical", "source": "", "vocab_size": rows} for j, rows in enumerate(tables)}
    | {f"I{j}": {"type": "numeric", "source": ""} for j in range(DENSE)}
)
features.labels, features.default_emb_dim = ["label"], 16
features.num_fields = features.get_num_fields()
WIDTH = features.sum_emb_out_dim()


class Attention(nn.Module):
    """AutoInt's interacting layer of four heads."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.residual = (nn.Linear(16, 16, bias=False) for _ in range(4))
        self.attention = ScaledDotProductAttention()

    def forward(self, x: Tensor) -> Tensor:
        """Let vectors (B, n, 16) attend to one another."""
        heads = (part(x).unflatten(2, (4, 4)).transpose(1, 2) for part in (self.query, self.key, self.value))
        attended, _ = self.attention(*heads, scale=2.0)
        return torch.relu(attended.transpose(1, 2).flatten(2) + self.residual(x))


class Model(BaseModel):  # type: ignore[misc]
    """DCN-v2, DeepFM or AutoInt."""

    def __init__(self) -> None:
        super().__init__(features, model_root=".", metrics=["AUC"], verbose=0)
        self.embedding_layer = FeatureEmbedding(features, 16)
        if name == "dcnv2":
            self.interaction, outputs = CrossNetV2(WIDTH, layers), WIDTH
        elif name == "deepfm":
            self.interaction, outputs = FactorizationMachine(features), 0
        else:
            self.interaction, outputs = nn.Sequential(*(Attention() for _ in range(layers))), len(tables) * 16
        self.deep = MLP_Block(WIDTH, hidden_units=[units] * layers)
        self.head = nn.Linear(units + outputs, 1)
        self.compile("adam", "binary_crossentropy", 1e-3)
        self.reset_parameters()

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return click probabilities."""
        x = self.get_inputs(inputs)
        vectors = self.embedding_layer(x)
        flat = vectors.flatten(1)
        deep = self.deep(flat)
        if name == "dcnv2":
            logit = self.head(torch.cat([self.interaction(flat), deep], dim=1))
        elif name == "deepfm":
            logit = self.interaction(x, vectors) + self.head(deep)
        else:
            attended = self.interaction(vectors[:, : len(tables)]).flatten(1)
            logit = self.head(torch.cat([attended, deep], dim=1))
        return {"y_pred": self.output_activation(logit)}


model = Model()
model._max_gradient_norm, model._eval_steps, model._total_steps, model._stop_training = 10.0, sys.maxsize, 0, False


def train(batch: int, steps: int) -> Callable[[], object]:
    """Return an epoch of so many batches."""
    dense, ids, label = map(torch.from_numpy, draw(tables, DENSE, batch * steps))
    columns: dict[str, Any] = {f"C{j}": column for j, column in enumerate(ids.unbind(1))}
    columns |= {f"I{j}": column for j, column in enumerate(dense.unbind(1))} | {"label": label}
    batches = [
        {key: column[first : first + batch].clone() for key, column in columns.items()}
        for first in range(0, batch * steps, batch)
    ]
    return lambda: model.train_epoch(batches)


serve(train)
