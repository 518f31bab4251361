"""Small dimensions, all different, so that a swapped axis shows."""

import pytest
import torch

from distdnas_hpc.config import Model
from distdnas_hpc.nn.block_input import BlockInput, Shape

B, WIDTH, VECTORS = 5, 24, 7


@pytest.fixture
def model() -> Model:
    return Model(blocks=3, dim_d=12, dim_s=6, n_s=4, merged=3, heads=2, baseline_width=10, baseline_layers=2)


@pytest.fixture
def shape() -> Shape:
    return Shape(WIDTH, VECTORS)


@pytest.fixture
def block_input(model) -> BlockInput:
    torch.manual_seed(0)
    left, right, stem = torch.randn(3, B, model.dim_d).unbind()
    return BlockInput(torch.cat([left, right], 1), left, right, stem, torch.randn(B, VECTORS, model.dim_s))
