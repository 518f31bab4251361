"""Architecture weights: probabilities, Gumbel softmax, regularisation and its gradient."""

import numpy as np
import pytest
import torch

from distdnas_hpc.nn.network import Mixing
from distdnas_hpc.search.weights import ArchitectureWeights


def some_weights(seed=0) -> ArchitectureWeights:
    weights = ArchitectureWeights(3)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in weights.parameters():
            parameter.normal_()
    return weights


def draws(weights, temperature, count=6_000):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        return torch.stack([weights.sample(temperature, generator).dense for _ in range(count)])


def test_every_module_starts_equal():
    for side in ArchitectureWeights(4).probabilities():
        assert side.shape == (4, 5)
        torch.testing.assert_close(side, torch.full((4, 5), 0.2))


def test_samples_are_weights_that_sum_to_one():
    for side in some_weights().sample(0.7, torch.Generator()):
        assert (side > 0).all()
        torch.testing.assert_close(side.sum(1), torch.ones(3))


def test_the_largest_weight_is_drawn_with_the_modules_probability():
    """The Gumbel-max trick: argmax(log α + g) is a draw from α, at any temperature."""
    weights = some_weights()
    winners = torch.nn.functional.one_hot(draws(weights, 0.5).argmax(-1), 5).float().mean(0)
    torch.testing.assert_close(winners, weights.probabilities().dense.detach(), atol=0.025, rtol=0)


def test_low_temperature_gives_one_hot_and_high_gives_equal_weights():
    weights = some_weights()
    assert (draws(weights, 0.01, 500).max(-1).values > 0.99).float().mean() > 0.95
    assert (draws(weights, 1000.0, 500) - 0.2).abs().max() < 0.01


def test_a_sample_is_the_formula():
    weights = some_weights()
    noise = torch.empty(3, 5).exponential_(generator=torch.Generator().manual_seed(3)).numpy()
    log_alpha = weights.probabilities().dense.detach().log().numpy()
    expected = np.exp((log_alpha - np.log(noise)) / 0.5)
    expected /= expected.sum(1, keepdims=True)
    sample = weights.sample(0.5, torch.Generator().manual_seed(3)).dense.detach().numpy()
    assert sample == pytest.approx(expected, rel=1e-4)


def test_regularisation_charges_probability_times_importance():
    weights = some_weights()
    s = Mixing(torch.rand(3, 5), torch.rand(3, 5))
    p = weights.probabilities()
    expected = sum(0.004 * p[side][i, j] * s[side][i, j] for side in (0, 1) for i in range(3) for j in range(5))
    torch.testing.assert_close(weights.regularisation(s, 0.004), expected)
    assert weights.regularisation(s, 0.0) == 0


@pytest.mark.parametrize("what", ["regularisation", "sample"])
def test_gradients_of_the_logits_agree_with_finite_differences(what):
    weights = some_weights().double()
    s = Mixing(torch.rand(3, 5).double(), torch.rand(3, 5).double())

    def value(alpha, beta):
        parameters = {"alpha_logits": alpha, "beta_logits": beta}
        if what == "regularisation":
            arguments = ("regularisation", s, 0.5)
        else:
            arguments = ("sample", 0.6, torch.Generator().manual_seed(2))
        return torch.func.functional_call(
            Caller(weights), {f"weights.{k}": v for k, v in parameters.items()}, arguments
        )

    logits = [parameter.detach().clone().requires_grad_() for parameter in weights.parameters()]
    assert torch.autograd.gradcheck(value, logits)


class Caller(torch.nn.Module):
    """Calls a method of the weights, so that `functional_call` can swap their parameters."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, method, *arguments):
        return getattr(self.weights, method)(*arguments)
