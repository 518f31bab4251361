"""Products on the CPU's fast path against torch's in float64, which does not take it."""

import pytest
import torch
from torch.autograd import grad

from distdnas_hpc.nn import products
from distdnas_hpc.nn.middle_linear import MiddleLinear
from distdnas_hpc.nn.products import Linear, product


def close(found, expected):
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize(("m", "k", "n"), [(7, 5, 3), (300, 64, 80), (16, 24, 2000), (2000, 16, 16), (90, 24, 5000)])
@pytest.mark.parametrize("transposed", [False, True])
def test_product_and_its_gradients(m, k, n, transposed, onednn, monkeypatch):
    if onednn and not products._ONEDNN:
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(products, "_ONEDNN", onednn)
    torch.manual_seed(0)
    a, b = (torch.randn(k, size).t() if transposed else torch.randn(size, k) for size in (m, n))
    bias, factor = torch.randn(n), torch.randn(m, n)
    inputs = [x.requires_grad_() for x in (a, b, bias)]
    a64, b64, bias64 = (x.detach().double().requires_grad_() for x in inputs)
    found, expected = product(a, b, bias), a64 @ b64.t() + bias64
    close(found, expected)
    for ours, theirs in zip(grad((found * factor).sum(), inputs), grad((expected * factor).sum(), (a64, b64, bias64))):
        close(ours, theirs)
    close(product(a, b), a64 @ b64.t())
    with torch.no_grad():
        close(product(a, b, bias), expected)


@pytest.mark.parametrize(("rows", "by_onednn"), [(1, False), (64, False), (600, True)])
def test_without_gradients_few_rows_are_left_to_torch_whose_calls_cost_less(rows, by_onednn, monkeypatch):
    if not products._ONEDNN:
        pytest.skip("this torch has no oneDNN")
    called, real = [], products._by_onednn
    monkeypatch.setattr(products, "_by_onednn", lambda *operands: called.append(1) or real(*operands))
    a, b, bias = torch.randn(rows, 500), torch.randn(500, 500), torch.randn(500)
    with torch.inference_mode():
        close(product(a, b, bias), a.double() @ b.double().t() + bias)
    assert called == [1] * by_onednn


def test_only_gradients_that_somebody_asks_for_are_computed(monkeypatch):
    if not products._ONEDNN:
        pytest.skip("this torch has no oneDNN")
    computed = []
    multiply = products.multiply
    monkeypatch.setattr(products, "multiply", lambda a, b, bias=None: computed.append(1) or multiply(a, b, bias))
    a, b = torch.randn(3, 4), torch.randn(5, 4)
    for of_a, of_b, expected in ((False, False, 1), (True, False, 2), (False, True, 2), (True, True, 3)):
        computed.clear()
        y = product(a.clone().requires_grad_(of_a), b.clone().requires_grad_(of_b))
        if y.requires_grad:
            y.sum().backward()
        assert len(computed) == expected


def test_linear_is_torchs():
    ours, theirs = Linear(6, 4), torch.nn.Linear(6, 4)
    theirs.load_state_dict(ours.state_dict())
    for shape in ((5, 6), (2, 3, 6)):
        x = torch.randn(shape)
        torch.testing.assert_close(ours(x), theirs(x))


def test_middle_linear_keeps_vectors_one_after_the_other():
    layer = MiddleLinear(7, 4)
    x = torch.randn(7, 5, 3).transpose(0, 1)
    expected = torch.einsum("ov,bvs->bos", layer.weight, x) + layer.bias[:, None]
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer(x.contiguous()), expected)
    assert layer(x).transpose(0, 1).is_contiguous()


def test_onednn_is_tried_before_it_is_trusted(monkeypatch):
    """Torch may rename its operation, change what it takes, or what it gives."""
    if not products._ONEDNN:
        pytest.skip("this torch has no oneDNN")
    assert products.onednn_works()
    for other in (lambda a, b: a @ b.t(), lambda a, b, *rest: a @ b, None):
        monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", other)
        assert not products.onednn_works()
