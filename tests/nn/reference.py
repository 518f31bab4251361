"""The networks of DESIGN §4 written the obvious way: numpy, one row at a time, loops over units, vectors and pairs.

Weights are a module's state_dict as arrays. Where a module has no `project`, its input has the right size already.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
from torch import Tensor, nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.nn.block_input import BlockInput

Array = np.ndarray
Weights = dict[str, Array]


def weights_of(module: nn.Module) -> Weights:
    return {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}


def part(weights: Weights, name: str) -> Weights:
    """Weights of a submodule."""
    return {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}


def rows_of(x: BlockInput) -> list[BlockInput]:
    return [BlockInput(*(tensor[row].numpy() for tensor in x)) for row in range(len(x.dense))]


def affine(weights: Weights, x: Array) -> Array:
    """W x + b of a vector."""
    y = np.array([sum(w * value for w, value in zip(unit, x)) for unit in weights["weight"]])
    return y + weights["bias"] if "bias" in weights else y


def middle(weights: Weights, vectors: Array) -> Array:
    """Every output vector is a weighted sum of the input vectors, plus a bias of its own."""
    return np.array(
        [
            sum(w * vector for w, vector in zip(unit, vectors)) + bias
            for unit, bias in zip(weights["weight"], weights["bias"])
        ]
    )


def each(function: Callable[[Weights, Array], Array], weights: Weights, vectors: Array) -> Array:
    return np.array([function(weights, vector) for vector in vectors])


def projected(weights: Weights, x: Array, function: Callable[[Weights, Array], Array]) -> Array:
    own = part(weights, "project")
    return function(own, x) if own else x


def relu(x: Array) -> Array:
    return np.where(x > 0, x, 0)


def softmax(x: Array) -> Array:
    shares = [math.exp(value - max(x)) for value in x]
    return np.array(shares) / sum(shares)


def layer_norm(weights: Weights, x: Array) -> Array:
    variance = sum((value - x.mean()) ** 2 for value in x) / len(x)
    return (x - x.mean()) / math.sqrt(variance + 1e-5) * weights["weight"] + weights["bias"]


def identity(weights: Weights, x: BlockInput, model: Model) -> Array:
    return projected(weights, x.dense, affine)


def linear(weights: Weights, x: BlockInput, model: Model) -> Array:
    return relu(affine(part(weights, "linear"), x.dense))


def dot_product(weights: Weights, x: BlockInput, model: Model) -> Array:
    vectors = [affine(part(weights, "dense"), x.dense), *middle(part(weights, "sparse"), x.sparse)]
    assert len(vectors) == 1 + round(math.sqrt(2 * model.dim_d))
    products = [vectors[i] @ vectors[j] for i in range(len(vectors)) for j in range(i)]
    return affine(part(weights, "project"), np.array(products))


def crossnet(weights: Weights, x: BlockInput, model: Model) -> Array:
    return x.left * affine(part(weights, "gate"), x.right) + x.right


def pin(weights: Weights, x: BlockInput, model: Model) -> Array:
    return projected(weights, x.dense, affine) * (affine(part(weights, "polynomial"), x.stem) + 1)


def identity3d(weights: Weights, x: BlockInput, model: Model) -> Array:
    return projected(weights, x.sparse, middle)


def linear3d(weights: Weights, x: BlockInput, model: Model) -> Array:
    return relu(each(affine, part(weights, "linear"), projected(weights, x.sparse, middle)))


def transformer(weights: Weights, x: BlockInput, model: Model) -> Array:
    vectors = projected(weights, x.sparse, middle)
    attended = attention(part(weights, "attention"), vectors, vectors, model.heads)
    vectors = each(layer_norm, part(weights, "norm_attention"), vectors + attended)
    hidden = relu(each(affine, part(weights, "feed_forward.0"), vectors))
    vectors = vectors + each(affine, part(weights, "feed_forward.2"), hidden)
    return each(layer_norm, part(weights, "norm_feed_forward"), vectors)


def embed_fc(weights: Weights, x: BlockInput, model: Model) -> Array:
    return middle(part(weights, "linear"), x.sparse)


def pma(weights: Weights, x: BlockInput, model: Model) -> Array:
    seeds = weights["seeds"][0]
    attended = attention(part(weights, "attention"), seeds, x.sparse, model.heads)
    vectors = each(layer_norm, part(weights, "norm_attention"), seeds + attended)
    vectors = vectors + relu(each(affine, part(weights, "feed_forward.0"), vectors))
    return each(layer_norm, part(weights, "norm_feed_forward"), vectors)


def attention(weights: Weights, queries: Array, vectors: Array, heads: int) -> Array:
    """Multi-head attention; keys and values come from the two halves of one map."""
    q = each(affine, part(weights, "query"), queries)
    k, v = np.split(each(affine, part(weights, "key_value"), vectors), 2, axis=1)
    size = q.shape[1] // heads
    attended = np.zeros_like(q)
    for head, query in itertools.product(range(heads), range(len(q))):
        own = slice(head * size, (head + 1) * size)
        shares = softmax(np.array([q[query, own] @ key[own] / math.sqrt(size) for key in k]))
        attended[query, own] = sum(share * value[own] for share, value in zip(shares, v))
    return each(affine, part(weights, "out"), attended)


DENSE = dict(zip(DENSE_MODULES, (identity, linear, dot_product, crossnet, pin)))
SPARSE = dict(zip(SPARSE_MODULES, (identity3d, linear3d, transformer, embed_fc, pma)))


def factorization_machine(vectors: Array) -> Array:
    """The sum of the products of all pairs."""
    return sum(a * b for a, b in itertools.combinations(vectors, 2))


def block(
    weights: Weights, x: BlockInput, model: Model, dense: dict[str, float], sparse: dict[str, float]
) -> tuple[Array, Array]:
    """Both outputs of a block for a row; `dense` and `sparse` say the weight of each module."""
    d = sum(p * DENSE[name](part(weights, f"dense.{name}"), x, model) for name, p in dense.items())
    s = sum(p * SPARSE[name](part(weights, f"sparse.{name}"), x, model) for name, p in sparse.items())
    extra = affine(part(weights, "dense_to_sparse"), d).reshape(model.merged, model.dim_s)
    added = affine(part(weights, "sparse_to_dense"), factorization_machine(s))
    return (
        layer_norm(part(weights, "norm_dense"), d + added),
        each(layer_norm, part(weights, "norm_sparse"), np.concatenate([s, extra])),
    )


def network(
    weights: Weights,
    dense: Tensor,
    embedded: Tensor,
    model: Model,
    architecture: Architecture,
    mixing: tuple[Tensor, Tensor] | None = None,
) -> Array:
    """Logits of all rows."""
    copies = len({name.split(".")[1] for name in weights if name.startswith("copies.")})
    logits = []
    for features, embeddings in zip(dense.numpy(), embedded.numpy()):
        outputs = []
        for copy in range(copies):
            own = part(weights, f"copies.{copy}")
            stem = affine(part(own, "stem"), features)
            made = [(stem, embeddings)]  # outputs of block 0, the stem, and of each block after it
            for i in range(architecture.blocks):
                previous, sparse = made[i]
                before = made[max(i - 1, 0)][0]
                both = np.concatenate([previous, before]) if i else stem
                names = architecture.dense[i], architecture.sparse[i]
                shares = [dict.fromkeys(side, 1.0) for side in names]
                if mixing is not None:
                    shares = [dict(zip(side, p[i].tolist())) for side, p in zip(names, mixing)]
                x = BlockInput(both, previous, before, stem, sparse)
                made.append(block(part(own, f"blocks.{i}"), x, model, *shares))
            outputs += [made[-1][0], made[-1][1].ravel()]
        logits.append(affine(part(weights, "head"), np.concatenate(outputs))[0])
    return np.array(logits)
