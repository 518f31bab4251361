"""AutoInt's layers on CPUs, one operation, against their formula in float64, differentiated by torch."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.autograd import grad

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines.autoint import Interacting, InteractingLayers
from distdnas_hpc.nn.lanes import LANES
from distdnas_hpc.nn.probe import Probe

ROWS = [1, LANES, 2 * LANES + 3]


def layers_of(layers: int, dim_s: int, heads: int) -> InteractingLayers:
    model = Model(dim_s=dim_s, heads=heads)
    return InteractingLayers(*(Interacting(model) for _ in range(layers)))


def formula(layers: InteractingLayers, vectors: torch.Tensor) -> torch.Tensor:
    """Eqs. 5-8 of Song et al. (2019), scores divided by the root of a head's size: one head after the other."""
    e = vectors.transpose(0, 1)
    for layer in layers:
        w_key, w_value = layer.key_value.weight.chunk(2)
        heads = []
        for w_q, w_k, w_v in zip(*(w.chunk(layer.heads) for w in (layer.query.weight, w_key, w_value))):
            scores = torch.einsum("bic,bjc->bij", e @ w_q.T, e @ w_k.T) / math.sqrt(len(w_q))
            shares = scores.exp() / scores.exp().sum(-1, keepdim=True)
            heads.append(torch.einsum("bij,bjc->bic", shares, e @ w_v.T))
        e = (torch.cat(heads, -1) + e @ layer.residual.weight.T).clamp(min=0)
    return e.transpose(0, 1)


def passes(function, layers, vectors):
    """Values, and the gradients of the vectors and of all weights."""
    vectors = vectors.clone().requires_grad_()
    y = function(layers, vectors)
    factor = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
    return y.detach(), *grad((factor * y).sum(), [vectors, *layers.parameters()])


def compare(layers, vectors):
    expected = passes(formula, copy.deepcopy(layers).double(), vectors.double())
    found = passes(lambda layers, x: layers(x), layers, vectors)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-5 * max(1, theirs.abs().max().item()))


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("dim_s", "heads"), [(6, 1), (6, 2), (LANES, 4), (LANES, LANES)])
def test_one_layer(dim_s, heads, rows):
    compare(layers_of(1, dim_s, heads), torch.randn(5, rows, dim_s))


@pytest.mark.parametrize("vectors", [1, 2, 4, 7, 26])
def test_any_number_of_vectors(vectors):
    compare(layers_of(2, 8, 2), torch.randn(vectors, LANES + 1, 8))


@pytest.mark.parametrize("layers", [2, 3, 7])
@pytest.mark.parametrize("rows", ROWS)
def test_layers_after_one_another(layers, rows):
    compare(layers_of(layers, 8, 2), 3 * torch.randn(6, rows, 8))


def test_vectors_may_lie_in_memory_as_they_like():
    layers, vectors = layers_of(2, 8, 2), torch.randn(LANES + 2, 5, 8)
    assert torch.equal(layers(vectors.transpose(0, 1)), layers(vectors.transpose(0, 1).contiguous()))


def test_scores_far_apart_attend_to_the_highest_alone():
    """One head, W_query = 10⁵, W_key = W_value = 1, no residual: each e_i becomes the e_j with the largest e_i·e_j."""
    layers, vectors = layers_of(1, 4, 1), torch.rand(6, 3, 4)
    with torch.no_grad():
        layers[0].query.weight.copy_(1e5 * torch.eye(4))
        layers[0].key_value.weight.copy_(torch.eye(4).repeat(2, 1))
        layers[0].residual.weight.zero_()
    e = vectors.transpose(0, 1)
    nearest = torch.einsum("bic,bjc->bij", e, e).argmax(-1)
    expected = torch.stack([row[of_row] for row, of_row in zip(e, nearest)]).transpose(0, 1)
    torch.testing.assert_close(layers(vectors), expected)


def test_a_row_has_the_same_bits_in_every_batch():
    layers, vectors = layers_of(3, 8, 2), torch.randn(5, 2 * LANES + 5, 8)
    factor = torch.randn_like(vectors)

    def values_and_gradient(rows):
        own = vectors[:, rows].clone().requires_grad_()
        y = layers(own)
        return torch.cat([y.detach(), *grad((y * factor[:, rows]).sum(), [own])])

    whole = values_and_gradient(slice(None))
    for rows in (slice(0, 1), slice(7, 7 + LANES), slice(LANES + 1, 2 * LANES + 5)):
        assert torch.equal(values_and_gradient(rows), whole[:, rows])


def test_equal_inputs_give_equal_numbers():
    layers, vectors = layers_of(2, 8, 2), torch.randn(5, 2 * LANES + 5, 8)
    first, second = (passes(lambda layers, x: layers(x), layers, vectors) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_visible_in_its_row(value):
    layers, vectors = layers_of(2, 8, 2), torch.randn(5, LANES + 3, 8)
    vectors[1, 2, 3] = value
    y, of_vectors, *of_weights = passes(lambda layers, x: layers(x), layers, vectors)
    for of_rows in (y, of_vectors):
        finite = of_rows.isfinite().transpose(0, 1).flatten(1).all(1)
        assert finite.tolist() == [row != 2 for row in range(LANES + 3)]
    assert not any(weight.isfinite().all() for weight in of_weights)


def test_memory_that_is_not_of_this_batch_does_not_show():
    """Lanes beyond the last row are no rows: what was freed before is nan."""
    layers, vectors = layers_of(3, 8, 2), torch.randn(5, 3, 8)
    expected = passes(lambda layers, x: layers(x), layers, vectors)
    for _ in range(20):
        torch.full((1, 3, 5 * 8, LANES), float("nan"))  # of the size of what is kept
        found = passes(lambda layers, x: layers(x), layers, vectors)
        assert all(torch.equal(a, b) for a, b in zip(found, expected))


def test_no_rows():
    layers, vectors = layers_of(2, 8, 2), torch.empty(5, 0, 8, requires_grad=True)
    y = layers(vectors)
    assert y.shape == (5, 0, 8)
    y.sum().backward()
    assert vectors.grad.shape == (5, 0, 8)
    assert not any(weight.grad.any() for weight in layers.parameters())


def saved_by(y: torch.Tensor) -> int:
    """Count the floats that wait for the backward pass."""
    return sum(tensor.numel() for tensor in y.grad_fn.saved_tensors)


def test_only_the_inputs_of_the_layers_are_kept():
    rows, layers = 4 * LANES, layers_of(3, 8, 2)
    weights = sum(weight.numel() for weight in layers.parameters())
    assert saved_by(layers(torch.randn(5, rows, 8))) == 3 * (5 * rows * 8) + weights


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(mode):
    layers, vectors = layers_of(2, 8, 2), torch.randn(5, 2 * LANES + 3, 8)
    expected = layers(vectors).detach()
    with mode():
        found = layers(vectors)
    assert not found.requires_grad
    assert torch.equal(found, expected)


def test_constant_weights_get_no_gradients():
    layers, vectors = layers_of(2, 8, 2), torch.randn(5, LANES + 1, 8, requires_grad=True)
    (expected,) = grad(layers(vectors).sum(), [vectors])
    layers.requires_grad_(False)
    (found,) = grad(layers(vectors).sum(), [vectors])
    assert torch.equal(found, expected)


def test_other_types_and_torch_export_take_torchs_operations():
    layers, vectors = layers_of(2, 8, 2), torch.randn(5, LANES + 1, 8)
    expected = layers(vectors)
    rows = {1: torch.export.Dim("rows", min=1)}
    program = torch.export.export(layers, (vectors,), dynamic_shapes=(rows,)).module()
    torch.testing.assert_close(program(vectors[:, :3]), expected[:, :3], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(copy.deepcopy(layers).double()(vectors.double()).float(), expected, rtol=1e-5, atol=1e-5)
    operations = {str(node.target) for node in program.graph.nodes}
    assert any("softmax" in name for name in operations)


def test_a_probe_still_sees_every_layer():
    layers = layers_of(2, 8, 2)
    with Probe(nn.ModuleDict({"interacting": layers})) as probe:
        layers(torch.randn(5, 3, 8))
    assert {"interacting.0.query", "interacting.0", "interacting.1"} <= {name for name, _ in probe._seen}
