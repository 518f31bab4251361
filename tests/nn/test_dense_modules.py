"""Each dense module against its formula, written a row and a coordinate at a time."""

import torch
from torch import nn

from distdnas_hpc.nn.architecture import DENSE_MODULES
from distdnas_hpc.nn.block_input import Shape
from distdnas_hpc.nn.dense_modules import DENSE, PIN, CrossNet, DotProduct, Identity, LinearModule
from tests.nn.conftest import WIDTH, B


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def affine(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """W x + b of one row."""
    y = torch.stack([sum(layer.weight[o, i] * x[i] for i in range(len(x))) for o in range(layer.out_features)])
    return y if layer.bias is None else y + layer.bias


def test_every_name_has_a_class_and_gives_dim_d(model, shape, block_input):
    assert tuple(DENSE) == DENSE_MODULES
    for module in DENSE.values():
        assert module(shape, model)(block_input).shape == (B, model.dim_d)


def test_identity_is_the_input_where_widths_agree(model, block_input):
    module = Identity(Shape(WIDTH, 7), model.model_copy(update={"dim_d": WIDTH}))
    assert torch.equal(module(block_input), block_input.dense)
    assert not list(module.parameters())


def test_identity_projects_where_they_differ(model, shape, block_input):
    module = Identity(shape, model)
    close(module(block_input)[2], affine(module.project, block_input.dense[2]))


def test_linear(model, shape, block_input):
    module = LinearModule(shape, model)
    close(module(block_input)[1], affine(module.linear, block_input.dense[1]).clamp(min=0))


def test_dot_product_multiplies_all_pairs(model, shape, block_input):
    module = DotProduct(shape, model)
    row = 3
    k = round((2 * model.dim_d) ** 0.5)
    vectors = [affine(module.dense, block_input.dense[row])]
    for o in range(k):
        mixed = sum(module.sparse.weight[o, i] * block_input.sparse[row, i] for i in range(shape.vectors))
        vectors.append(mixed + module.sparse.bias[o])
    products = torch.stack([vectors[i] @ vectors[j] for i in range(k + 1) for j in range(i)])
    assert len(products) == k * (k + 1) // 2
    close(module(block_input)[row], affine(module.project, products))


def test_crossnet_gates_the_left_source_by_the_right(model, shape, block_input):
    module = CrossNet(shape, model)
    left, right = block_input.left[4], block_input.right[4]
    close(module(block_input)[4], left * affine(module.gate, right) + right)


def test_pin_multiplies_by_a_polynomial_of_the_stem(model, shape, block_input):
    module = PIN(shape, model)
    x = affine(module.project, block_input.dense[0])
    close(module(block_input)[0], x * (affine(module.polynomial, block_input.stem[0]) + 1))
