"""Optimizers against their update rules written out."""

import copy
import io

import pytest
import torch
from torch import nn

from distdnas_hpc.config import Optimizer
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.optim import Optimizers, warmup
from tests.nn.test_embedding import dense_gradient


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, dense, embedded):
        return (embedded.sum(1) * self.weight).sum(1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return CTRModel(Embedding((5, 3), 4), Sum())


def gradients(model, ids):
    model.zero_grad()
    model(torch.zeros(len(ids), 1), ids).square().mean().backward()
    return dense_gradient(model.embedding), model.network.weight.grad.clone()


def test_adagrad_is_exact_and_adam_is_adam_at_scaled_rates(model):
    settings = Optimizer(embedding_lr=0.1, dense_lr=0.01)
    optimizers = Optimizers(model, settings)
    table, weight = model.embedding.weight.detach().clone(), model.network.weight.detach().clone()
    squares, m, v = torch.zeros_like(table), torch.zeros(4), torch.zeros(4)
    ids = torch.tensor([[0, 1], [0, 2], [4, 1]])  # rows 0 and 5+1 occur twice: their gradients add before squaring
    for step, scale in enumerate([0.25, 0.5, 1.0], start=1):
        g_table, g_weight = gradients(model, ids)
        optimizers.step(scale)
        squares += g_table**2
        table -= scale * 0.1 * g_table / (squares.sqrt() + 1e-10)
        m, v = 0.9 * m + 0.1 * g_weight, 0.999 * v + 0.001 * g_weight**2
        weight -= scale * 0.01 * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
        torch.testing.assert_close(model.embedding.weight, table)
        torch.testing.assert_close(model.network.weight, weight)


def test_rows_that_are_not_looked_up_stay(model):
    optimizers = Optimizers(model, Optimizer())
    before = model.embedding.weight.detach().clone()
    gradients(model, torch.tensor([[0, 1]]))
    optimizers.step(1.0)
    changed = (model.embedding.weight != before).any(1)
    assert changed.tolist() == [True, False, False, False, False, False, True, False]


def test_zero_grad_forgets(model):
    optimizers = Optimizers(model, Optimizer())
    gradients(model, torch.tensor([[0, 1]]))
    optimizers.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())
    before = model.embedding.weight.detach().clone()
    optimizers.step(1.0)
    assert torch.equal(model.embedding.weight, before)


def test_goes_on_from_its_state_bit_for_bit(model):
    ids = torch.tensor([[0, 1], [0, 2], [4, 1]])
    optimizers = Optimizers(model, Optimizer())
    gradients(model, ids)
    optimizers.step(0.5)
    stored = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizers": optimizers.state_dict()}, stored)
    stored.seek(0)
    found = torch.load(stored, weights_only=True)
    torch.manual_seed(1)
    other = CTRModel(Embedding((5, 3), 4), Sum())
    resumed = Optimizers(other, Optimizer())
    other.load_state_dict(found["model"])
    resumed.load_state_dict(found["optimizers"])
    for each, of_each in ((model, optimizers), (other, resumed)):
        for scale in (0.5, 1.0):
            gradients(each, ids)
            of_each.step(scale)
    assert set(found["optimizers"]) == {"embedding", "network"}
    for (name, tensor), again in zip(model.state_dict().items(), other.state_dict().values()):
        assert torch.equal(tensor, again), name


def test_warmup_is_linear_from_zero_then_one():
    assert [warmup(step, 4) for step in (1, 2, 3, 4, 5, 100)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert warmup(1, 0) == 1


@pytest.mark.parametrize("clip_norm", [None, 1e6, 0.05])
def test_clipping_shortens_the_networks_whole_gradient_and_leaves_the_embeddings_alone(model, clip_norm):
    model.network.bias = nn.Parameter(torch.ones(2, 2))  # a second parameter: the norm is that of both together
    optimizers = Optimizers(model, Optimizer(clip_norm=clip_norm))
    g_table, g_weight = gradients(model, torch.tensor([[0, 1], [4, 2]]))
    model.network.bias.grad = torch.full((2, 2), 3.0)
    norm = float(torch.cat([g_weight, model.network.bias.grad.ravel()]).square().sum().sqrt())
    optimizers.step(1.0)
    scale = 1.0 if clip_norm is None else min(1.0, clip_norm / norm)
    assert scale == 1.0 or norm > 10 * clip_norm
    torch.testing.assert_close(model.network.weight.grad, scale * g_weight)
    torch.testing.assert_close(model.network.bias.grad, torch.full((2, 2), 3.0 * scale))
    torch.testing.assert_close(dense_gradient(model.embedding), g_table)


def test_goes_on_from_a_state_as_if_nothing_had_happened(model):
    ids = torch.tensor([[0, 1], [0, 2], [4, 1]])

    def train(optimizers, steps):
        for _ in range(steps):
            gradients(model, ids)
            optimizers.step(0.5)

    first = Optimizers(model, Optimizer())
    train(first, 3)
    weights, state = copy.deepcopy((model.state_dict(), first.state_dict()))
    train(first, 2)
    expected = copy.deepcopy(model.state_dict())
    model.load_state_dict(weights)
    second = Optimizers(model, Optimizer())
    second.load_state_dict(state)
    train(second, 2)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
