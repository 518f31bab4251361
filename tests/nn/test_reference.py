"""Modules, blocks and networks give what their slow, obvious reference gives, for every row, in float64."""

import numpy as np
import pytest
import torch

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.nn.block import Block
from distdnas_hpc.nn.block_input import BlockInput, Shape
from distdnas_hpc.nn.dense_modules import DENSE
from distdnas_hpc.nn.network import Mixing, Network
from distdnas_hpc.nn.sparse_modules import SPARSE
from tests.nn import reference

ROWS = 3


def make_input(model, width: int, vectors: int) -> BlockInput:
    """A later block's input, or block 1's: with dim_d columns, all of them the stem's, as `Copy` gives it."""
    torch.manual_seed(4)
    left, right, stem = torch.randn(3, ROWS, model.dim_d, dtype=torch.float64).unbind()
    sparse = torch.randn(ROWS, vectors, model.dim_s, dtype=torch.float64)
    if width == model.dim_d:
        return BlockInput(stem, stem, stem, stem, sparse)
    return BlockInput(torch.cat([left, right], 1), left, right, stem, sparse)


def disturbed(module: torch.nn.Module) -> torch.nn.Module:
    """Weights drawn anew, LayerNorms and biases included, so that none of them is 1 or 0 by accident."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module.double()


def close(got: torch.Tensor, expected: object) -> None:
    torch.testing.assert_close(got.detach(), torch.as_tensor(np.array(expected)), rtol=1e-9, atol=1e-9)


SHAPES = pytest.mark.parametrize("vectors", [4, 7], ids=["N_s vectors", "more vectors"])
WIDTHS = pytest.mark.parametrize("width", [12, 24], ids=["block 1", "later block"])


@WIDTHS
@SHAPES
@pytest.mark.parametrize("name", DENSE_MODULES + SPARSE_MODULES)
def test_module(model, name, width, vectors):
    side, references = (DENSE, reference.DENSE) if name in DENSE else (SPARSE, reference.SPARSE)
    module = disturbed(side[name](Shape(width, vectors), model))
    x = make_input(model, width, vectors)
    weights = reference.weights_of(module)
    close(module(x), [references[name](weights, row, model) for row in reference.rows_of(x)])


@WIDTHS
@SHAPES
def test_block_with_both_mergers(model, width, vectors):
    block = disturbed(Block(DENSE_MODULES, SPARSE_MODULES, Shape(width, vectors), model))
    x = make_input(model, width, vectors)
    p, q = torch.rand(2, 5, dtype=torch.float64)
    shares = dict(zip(DENSE_MODULES, p.tolist())), dict(zip(SPARSE_MODULES, q.tolist()))
    weights = reference.weights_of(block)
    expected = [reference.block(weights, row, model, *shares) for row in reference.rows_of(x)]
    for got, side in zip(block(x, p, q), zip(*expected)):
        close(got, side)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_supernet(model, blocks):
    full = Architecture.full(blocks)
    network = disturbed(Network(full, model, 3, 8))
    dense, embedded = torch.randn(ROWS, 3).double(), torch.randn(ROWS, 8, model.dim_s).double()
    mixing = Mixing(*torch.softmax(torch.randn(2, blocks, 5).double(), -1))
    close(
        network(dense, embedded, mixing),
        reference.network(reference.weights_of(network), dense, embedded, model, full, mixing),
    )


@pytest.mark.parametrize("copies", [1, 2])
def test_discrete_network(model, copies):
    architecture = Architecture((("pin", "linear"), ("crossnet", "dot_product")), (("pma", "linear3d"), ("embed_fc",)))
    network = disturbed(Network(architecture, model, 3, 8, copies=copies))
    dense, embedded = torch.randn(ROWS, 3).double(), torch.randn(ROWS, 8, model.dim_s).double()
    expected = reference.network(reference.weights_of(network), dense, embedded, model, architecture)
    close(network(dense, embedded), expected)
