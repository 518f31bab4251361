"""One step of the search in its three ways, on a tiny problem in float64."""

import copy

import pytest
import torch
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits

from distdnas_hpc.config import Config
from distdnas_hpc.data.feed import Batch
from distdnas_hpc.nn import row_parallel
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.network import Mixing, Network
from distdnas_hpc.nn.optim import Optimizers
from distdnas_hpc.search.bilevel import BATCHES, Bilevel
from distdnas_hpc.search.weights import ArchitectureWeights
from tests.nn.heads import with_head

pytestmark = pytest.mark.usefixtures("one_thread")  # twelve rows: threads would wait for one another most of the time
TEMPERATURE = 0.7
NOISE = 11


def some_batch(seed: int, rows: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    dense = torch.randn(rows, 2, generator=generator, dtype=torch.float64)
    ids = torch.randint(5, (rows, 3), generator=generator)
    return Batch((ids[:, 0] % 2).double(), dense, ids)


@pytest.fixture
def batches() -> tuple[Batch, Batch]:
    return some_batch(1), some_batch(2)


def make_bilevel(way: str, *, dense_lr: float = 0.001, gamma: float = 0.004) -> Bilevel:
    """Make a step on two blocks; logits that are not all equal, SGD with rate 1 for A and B, so their step is -∇."""
    config = Config.model_validate(
        {
            "run": "unused",
            "data": {"schema": {"dense": 2, "sparse": 3}, "raw": "day_{day}", "days": 2},
            "model": {"blocks": 2, "dim_d": 6, "dim_s": 4, "n_s": 2, "merged": 1, "heads": 2},
            "optimizer": {"dense_lr": dense_lr},
            "search": {"days": 1, "bilevel": way, "architecture_lr": 1.0, "gamma": gamma},
            "train": {"days": 1, "test_day": 2, "warmup_days": 0},
        }
    )
    torch.manual_seed(0)
    network = with_head(Network(Architecture.full(2), config.model, 2, 3))
    model = CTRModel(Embedding((5, 5, 5), 4), network).double()
    weights = ArchitectureWeights(2).double()
    with torch.no_grad():
        for parameter in weights.parameters():
            parameter.normal_()
    sgd = torch.optim.SGD(weights.parameters())
    s = Mixing(torch.rand(2, 5).double(), torch.rand(2, 5).double())
    noise = torch.Generator().manual_seed(NOISE)
    return Bilevel(config, model, weights, Optimizers(model, config.optimizer), sgd, s, noise)


def values(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def architecture_gradient(bilevel: Bilevel, *batches: Batch, scale: float = 1.0) -> torch.Tensor:
    """What the step follows, from where it goes."""
    before = values(bilevel.weights)
    bilevel.step(batches, TEMPERATURE, scale)
    return (before - values(bilevel.weights)) / scale


def noises(count: int) -> list[list[torch.Tensor]]:
    """The Gumbel noise of α and β of the first batches, in the order in which a step draws it."""
    generator = torch.Generator().manual_seed(NOISE)
    return [
        [-torch.empty(2, 5).exponential_(generator=generator).log().double() for _ in ("alpha", "beta")]
        for _ in range(count)
    ]


def logloss(bilevel: Bilevel, logits: torch.Tensor, noise: list[torch.Tensor], batch: Batch, w: dict | None = None):
    """LogLoss as a function of the logits of A and B (2·2·5 flat), with the noise held fixed."""
    sides = zip(logits.view(2, 2, 5), noise)
    mixing = Mixing(*(torch.softmax((side + gumbel) / TEMPERATURE, dim=1) for side, gumbel in sides))
    output = functional_call(bilevel.model, w or {}, (batch.dense, batch.sparse), {"mixing": mixing})
    return binary_cross_entropy_with_logits(output, batch.label)


def regularisation(bilevel: Bilevel, logits: torch.Tensor) -> torch.Tensor:
    sides = zip(logits.view(2, 2, 5), bilevel.importance)
    return bilevel.config.search.gamma * sum((torch.softmax(side, 1) * s).sum() for side, s in sides)


def central_differences(function, at: torch.Tensor, step: float = 1e-5) -> torch.Tensor:
    unit = torch.eye(len(at), dtype=at.dtype)
    return torch.stack([(function(at + step * e) - function(at - step * e)).detach() / (2 * step) for e in unit])


def after_inner_step(bilevel: Bilevel, logits: torch.Tensor, noise: list[torch.Tensor], batch: Batch, xi: float):
    """w - ξ ∇_w L_w(w, A), of the interaction network."""
    w = {name: p.detach().requires_grad_() for name, p in bilevel.model.named_parameters() if "network" in name}
    loss = logloss(bilevel, logits, noise, batch, w)
    return {name: p - xi * g for (name, p), g in zip(w.items(), torch.autograd.grad(loss, [*w.values()]))}


@pytest.mark.parametrize("way", ["first_order", "joint"])
def test_the_gradient_of_the_logits_is_that_of_logloss_and_r_through_the_gumbel_mixing(way, batches):
    """First order takes it after its step of w, on the second batch; joint before it, on its only batch."""
    bilevel = make_bilevel(way, gamma=0.5)
    logits, before = values(bilevel.weights), copy.deepcopy(bilevel)
    given = batches[: BATCHES[way]]
    got = architecture_gradient(bilevel, *given)
    noise = noises(len(given))[-1]
    at_w = bilevel if way == "first_order" else before

    def objective(a):
        return logloss(at_w, a, noise, given[-1]) + regularisation(at_w, a)

    torch.testing.assert_close(got, central_differences(objective, logits), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_second_order_is_the_gradient_through_the_inner_step(batches, scale):
    """Against A ↦ L_A(w - ξ∇_w L_w(w, A), A) + R(A), differentiated numerically; ξ large, so that eq. 8 matters."""
    xi = 0.2
    bilevel = make_bilevel("second_order", dense_lr=xi, gamma=0.5)
    logits, before = values(bilevel.weights), copy.deepcopy(bilevel)
    got = architecture_gradient(bilevel, *batches, scale=scale)
    w_noise, noise = noises(2)

    def objective(a, unrolled_at=None):
        inner = a if unrolled_at is None else unrolled_at
        w = after_inner_step(before, inner, w_noise, batches[0], scale * xi)
        return logloss(before, a, noise, batches[1], w) + regularisation(before, a)

    expected = central_differences(objective, logits)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-6)
    without = central_differences(lambda a: objective(a, unrolled_at=logits), logits)
    assert (without - expected).norm() > 100 * (got - expected).norm(), "the second-order term is what is tested"


def test_second_order_steps_w_from_where_it_was_as_first_order_does(batches):
    """Bit for bit: the unrolled step and the two passes beside w leave nothing behind."""
    first, second = make_bilevel("first_order"), make_bilevel("second_order")
    for bilevel in (first, second):
        bilevel.step(batches, TEMPERATURE, 1.0)
    assert torch.equal(values(first.model), values(second.model))


def test_w_is_restored_exactly_when_the_step_of_w_is_left_out(batches, monkeypatch):
    bilevel = make_bilevel("second_order")
    before = {name: tensor.clone() for name, tensor in bilevel.model.state_dict().items()}
    monkeypatch.setattr(bilevel.w_optimizers, "step", lambda scale: None)
    bilevel.step(batches, TEMPERATURE, 1.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in bilevel.model.state_dict().items())
    assert values(bilevel.weights).isfinite().all()


def test_second_order_with_nothing_to_gain_from_w_is_the_gradient_of_r(batches):
    """Weights of zero and labels of one half: v = 0, along which no step has a length."""
    bilevel = make_bilevel("second_order", gamma=0.5)
    with torch.no_grad():
        for parameter in bilevel.model.network.parameters():
            parameter.zero_()
    half = batches[1]._replace(label=torch.full_like(batches[1].label, 0.5))
    got = architecture_gradient(bilevel, batches[0]._replace(label=half.label), half)
    logits = values(make_bilevel("second_order", gamma=0.5).weights)
    expected = central_differences(lambda a: regularisation(bilevel, a), logits)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-9)


def test_joint_steps_w_and_the_logits_from_one_backward_pass(batches):
    """w's step is that of first order on the same batch, the noise being the same."""
    first, joint = make_bilevel("first_order"), make_bilevel("joint")
    losses = joint.step(batches[:1], TEMPERATURE, 1.0)
    expected = first.step(batches, TEMPERATURE, 1.0)
    torch.testing.assert_close(values(joint.model), values(first.model))
    assert losses.w == losses.architecture
    torch.testing.assert_close(losses.w, expected.w)


def test_losses_carry_no_graph(batches):
    for way, count in BATCHES.items():
        losses = make_bilevel(way).step(batches[:count], TEMPERATURE, 1.0)
        assert not any(loss.requires_grad for loss in losses)


@pytest.mark.parametrize("way", BATCHES)
def test_a_step_moves_w_the_embeddings_and_the_logits(way, batches):
    bilevel = make_bilevel(way)
    before = [values(part) for part in (bilevel.model.network, bilevel.model.embedding, bilevel.weights)]
    bilevel.step(batches[: BATCHES[way]], TEMPERATURE, 1.0)
    after = [values(part) for part in (bilevel.model.network, bilevel.model.embedding, bilevel.weights)]
    assert all((a != b).any() for a, b in zip(after, before))


def test_the_step_of_the_logits_is_warmed_up_too(batches):
    small, full = (make_bilevel("first_order", gamma=0.5) for _ in range(2))
    start = values(full.weights)
    small.step(batches, TEMPERATURE, 1e-6)
    assert (values(small.weights) - start).abs().max() < 1e-6
    full.step(batches, TEMPERATURE, 1.0)
    assert (values(full.weights) - start).abs().max() > 1e-4


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("way", BATCHES)
def test_a_batch_in_parts_gives_the_step_of_the_whole_batch(way, threads, batches, monkeypatch):
    """Of w, the embeddings and the logits; with second order, parts also see the weights that stand in for w."""
    whole, parts = (make_bilevel(way, dense_lr=0.2, gamma=0.5) for _ in range(2))
    given = batches[: BATCHES[way]]
    expected = whole.step(given, TEMPERATURE, 1.0)
    monkeypatch.setattr(row_parallel, "LEAST_ROWS", 1)
    monkeypatch.setattr(row_parallel, "MOST_ROWS", 5)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = parts.step(given, TEMPERATURE, 1.0)
    torch.set_num_threads(before)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(values(parts.weights), values(whole.weights), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(values(parts.model), values(whole.model), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("way", BATCHES)
def test_the_embeddings_have_gradients_of_ws_batch_alone(way, batches):
    bilevel = make_bilevel(way)
    bilevel.step(batches[: BATCHES[way]], TEMPERATURE, 1.0)
    ((rows, _),) = bilevel.model.embedding.gradients
    assert torch.equal(rows.t(), batches[0].sparse + bilevel.model.embedding.offsets)
    assert all(parameter.requires_grad for parameter in bilevel.model.parameters())
