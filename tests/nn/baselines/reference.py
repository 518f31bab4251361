"""The baselines written the obvious way: numpy, one row at a time, loops over units, vectors and pairs.

Weights are a module's state_dict as arrays, see tests.nn.reference. Each function gives one row's logit from its dense
features (D,) and its embeddings (F, dim_s).
"""

import itertools
import math
from functools import partial

import numpy as np

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines import autoctr_tiny, nasrec_tiny
from distdnas_hpc.nn.block_input import BlockInput
from tests.nn import reference
from tests.nn.reference import Array, Weights, affine, each, layer_norm, middle, part, relu, softmax


def scalar(weights: Weights, x: Array) -> float:
    return float(affine(weights, x)[0])


def mlp(weights: Weights, x: Array, model: Model) -> Array:
    for layer in range(model.baseline_layers):
        x = relu(affine(part(weights, str(2 * layer)), x))
    return x


def columns(weights: Weights, dense: Array, embedded: Array) -> Array:
    return np.concatenate([relu(affine(part(weights, "dense"), dense)), *embedded])


def vectors(weights: Weights, dense: Array, embedded: Array) -> list[Array]:
    hidden = relu(affine(part(weights, "bottom.0"), dense))
    return [relu(affine(part(weights, "bottom.2"), hidden)), *embedded]


def first_order(weights: Weights, dense: Array, embedded: Array) -> float:
    """A number for each token, found from its embedding by its column's vector, and one for each dense feature."""
    w = weights["linear.weight"][0]
    of_columns = w[len(dense) :].reshape(embedded.shape)
    of_tokens = [u @ e for u, e in zip(of_columns, embedded)]
    return sum(w * x for w, x in zip(w, dense)) + sum(of_tokens) + float(weights["linear.bias"][0])


def logistic_regression(weights: Weights, dense: Array, embedded: Array, model: Model) -> float:
    return first_order(part(weights, "first_order"), dense, embedded)


def wide_deep(weights: Weights, dense: Array, embedded: Array, model: Model) -> float:
    deep = mlp(part(weights, "deep"), columns(part(weights, "x0"), dense, embedded), model)
    return first_order(part(weights, "wide"), dense, embedded) + scalar(part(weights, "head"), deep)


def dlrm(weights: Weights, dense: Array, embedded: Array, model: Model) -> float:
    all_vectors = vectors(part(weights, "vectors"), dense, embedded)
    products = [all_vectors[i] @ all_vectors[j] for i in range(len(all_vectors)) for j in range(i)]
    top = mlp(part(weights, "top"), np.concatenate([all_vectors[0], products]), model)
    return scalar(part(weights, "head"), top)


def deepfm(weights: Weights, dense: Array, embedded: Array, model: Model) -> float:
    all_vectors = vectors(part(weights, "vectors"), dense, embedded)
    pairs = sum(a @ b for a, b in itertools.combinations(all_vectors, 2))
    deep = mlp(part(weights, "deep"), np.concatenate(all_vectors), model)
    first = first_order(part(weights, "first_order"), dense, embedded)
    return first + pairs + scalar(part(weights, "head"), deep)


def xdeepfm(weights: Weights, dense: Array, embedded: Array, model: Model) -> float:
    fields = len(embedded)
    maps, sums = list(embedded), []
    for layer in range(model.baseline_layers):
        w = weights[f"cin.weights.{layer}"].reshape(2 * fields, len(maps), fields)
        made = [
            sum(w[h, i, j] * maps[i] * embedded[j] for i in range(len(maps)) for j in range(fields))
            for h in range(2 * fields)
        ]
        maps, leaving = made[:fields], made[fields:]
        sums += [x.sum() for x in leaving]
    sums += [x.sum() for x in maps]
    deep = mlp(part(weights, "deep"), columns(part(weights, "x0"), dense, embedded), model)
    first = first_order(part(weights, "first_order"), dense, embedded)
    return first + scalar(part(weights, "head"), np.concatenate([sums, deep]))


def autoint(weights: Weights, dense: Array, embedded: Array, model: Model) -> float:
    x = middle(part(weights, "project"), embedded)
    size = model.dim_s // model.heads
    for layer in range(model.baseline_layers):
        own = part(weights, f"interacting.{layer}")
        w_q, w_res = own["query.weight"], own["residual.weight"]
        w_k, w_v = np.split(own["key_value.weight"], 2)
        made = []
        for e in x:
            heads = []
            for head in range(model.heads):
                of = slice(head * size, (head + 1) * size)
                shares = softmax(np.array([(w_q[of] @ e) @ (w_k[of] @ other) / math.sqrt(size) for other in x]))
                heads.append(sum(share * (w_v[of] @ other) for share, other in zip(shares, x)))
            made.append(relu(np.concatenate(heads) + w_res @ e))
        x = np.array(made)
    both = np.concatenate([relu(affine(part(weights, "dense"), dense)), *x])
    return scalar(part(weights, "head"), mlp(part(weights, "top"), both, model))


def dcnv2(weights: Weights, dense: Array, embedded: Array, model: Model) -> float:
    x0 = columns(part(weights, "x0"), dense, embedded)
    x = x0
    for layer in range(model.baseline_layers):
        x = x0 * affine(part(weights, f"cross.{layer}"), x) + x
    return scalar(part(weights, "head"), np.concatenate([x, mlp(part(weights, "deep"), x0, model)]))


def xdeepint(weights: Weights, dense: Array, embedded: Array, model: Model) -> float:
    x0 = columns(part(weights, "x0"), dense, embedded)
    x = x0
    for layer in range(model.baseline_layers):
        x = x * (affine(part(weights, f"interactions.{layer}"), x0) + 1)
    return scalar(part(weights, "head"), np.concatenate([x, mlp(part(weights, "deep"), x0, model)]))


def masknet(weights: Weights, dense: Array, embedded: Array, model: Model) -> float:
    x0 = columns(part(weights, "x0"), dense, embedded)
    x = layer_norm(part(weights, "norm"), x0)
    for layer in range(model.baseline_layers):
        own = part(weights, f"blocks.{layer}")
        hidden = relu(affine(part(own, "mask.0"), x0))
        assert len(hidden) == 2 * len(x)
        mask = affine(part(own, "mask.2"), hidden)
        x = relu(layer_norm(part(own, "norm"), affine(part(own, "hidden"), mask * x)))
    return scalar(part(weights, "head"), x)


def sigmoid_gating(weights: Weights, left: Array, right: Array) -> Array:
    size = max(len(left), len(right))
    gate = 1 / (1 + np.exp(-affine(part(weights, "gate"), left)))
    padded = np.concatenate([right, np.zeros(size - len(right))])
    return affine(part(weights, "project"), gate * padded)


def searched(weights: Weights, dense: Array, embedded: Array, model: Model, blocks: dict) -> float:
    """The last block's outputs make the logit."""
    outputs = {0: (affine(part(weights, "stem"), dense), embedded)}
    for number, found in blocks.items():
        own = part(weights, f"blocks.{number}")
        sources = [outputs[i][0] for i in found.dense_from]
        vectors = [vector for i in found.sparse_from for vector in outputs[i][1]]
        x = BlockInput(np.concatenate(sources), None, None, None, np.array(vectors))
        merged = model.n_s // 2 if found.to_sparse else 0
        here = model.model_copy(
            update={"dim_d": min(found.width, model.baseline_width), "n_s": model.n_s - merged},
        )
        if found.dense == "sigmoid_gating":
            d = sigmoid_gating(part(own, "dense"), *sources)
        else:
            d = reference.DENSE[found.dense](part(own, "dense"), x, here)
        if found.sparse is None:
            outputs[number] = layer_norm(part(own, "norm_dense"), d), []
            continue
        s = reference.SPARSE[found.sparse](part(own, "sparse"), x, here)
        both = list(s)
        if merged:
            both += list(affine(part(own, "to_sparse"), d).reshape(merged, model.dim_s))
        assert len(both) == model.n_s
        if found.to_dense:
            d = d + affine(part(own, "to_dense"), reference.factorization_machine(s))
        outputs[number] = (
            layer_norm(part(own, "norm_dense"), d),
            each(layer_norm, part(own, "norm_sparse"), np.array(both)),
        )
    d, s = outputs[max(blocks)]
    return scalar(part(weights, "head"), np.concatenate([d, *s]))


BASELINES = {
    "logistic_regression": logistic_regression,
    "wide_deep": wide_deep,
    "dlrm": dlrm,
    "deepfm": deepfm,
    "xdeepfm": xdeepfm,
    "autoint": autoint,
    "dcnv2": dcnv2,
    "xdeepint": xdeepint,
    "masknet": masknet,
    "nasrec_tiny": partial(searched, blocks=nasrec_tiny.BLOCKS),
    "autoctr_tiny": partial(searched, blocks=autoctr_tiny.BLOCKS),
}
