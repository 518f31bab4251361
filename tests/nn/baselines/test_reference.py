"""Every baseline gives what its slow, obvious reference gives, for every row; by compiled kernels, too."""

import numpy as np
import pytest
import torch

from distdnas_hpc.nn.baselines.registry import REGISTRY
from tests.nn import reference
from tests.nn.baselines.reference import BASELINES

NAMES = pytest.mark.parametrize("name", BASELINES)


def disturbed(name: str, model, dense: int, sparse: int) -> torch.nn.Module:
    """Weights drawn anew, LayerNorms and biases included, so that none of them is 1 or 0 by accident."""
    torch.manual_seed(5)
    network = REGISTRY[name].build(model, dense, sparse)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.4)
    return network


@NAMES
@pytest.mark.parametrize(("dense", "sparse"), [(3, 5), (1, 7)])
def test_logits(model, name, dense, sparse):
    network = disturbed(name, model, dense, sparse).double()
    x_d, x_s = torch.randn(3, dense).double(), torch.randn(3, sparse, model.dim_s).double()
    weights = reference.weights_of(network)
    expected = [BASELINES[name](weights, *row, model) for row in zip(x_d.numpy(), x_s.numpy())]
    torch.testing.assert_close(
        network(x_d, x_s).detach(), torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9
    )
    assert np.ptp(expected) > 0


@NAMES
def test_float32_by_compiled_kernels_agrees_with_float64(model, name):
    network = disturbed(name, model, 3, 5)
    x_d, x_s = torch.randn(70, 3), torch.randn(70, 5, model.dim_s)
    columns_first = x_s.transpose(0, 1).contiguous().transpose(0, 1)  # as embeddings come
    found = network(x_d, columns_first)
    expected = network.double()(x_d.double(), x_s.double())
    scale = expected.abs().max().item()
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-5 * scale)


@NAMES
def test_every_weight_is_trained(model, name):
    """None is built in vain: a gradient reaches each."""
    network = disturbed(name, model, 3, 5)
    network(torch.randn(50, 3), torch.randn(50, 5, model.dim_s)).square().sum().backward()
    idle = [key for key, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []
