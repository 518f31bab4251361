"""A batch in parts against the whole batch at once."""

import pytest
import torch

from distdnas_hpc.nn import row_parallel
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.baselines.dlrm import DLRM
from distdnas_hpc.nn.network import Mixing, Network
from tests.nn.heads import with_head

ROWS = 50


@pytest.fixture
def parts(monkeypatch):
    """Parts of 20, 20 and 10 rows."""
    monkeypatch.setattr(row_parallel, "LEAST_ROWS", 1)
    monkeypatch.setattr(row_parallel, "MOST_ROWS", 20)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    assert torch.get_num_threads() == request.param, "the threads of parts leave the others' alone"
    torch.set_num_threads(before)


def passes(forward, network, *, of_weights=True, of_embedded=True, of_mixing=True):
    """Logits and all gradients."""
    torch.manual_seed(1)
    dense, embedded = torch.randn(ROWS, 3), torch.randn(ROWS, 8, 6).requires_grad_(of_embedded)
    mixing = None
    if isinstance(network, Network):
        mixing = Mixing(*(torch.rand(3, 5).requires_grad_(of_mixing) for _ in range(2)))
    network.zero_grad()
    network.requires_grad_(of_weights)
    logits = forward(network, dense, embedded, mixing)
    (logits * torch.linspace(-1, 1, ROWS)).sum().backward()
    inputs = [embedded, *(mixing or ()), *network.parameters()]
    return logits.detach(), *(x.grad for x in inputs)


def whole(network, dense, embedded, mixing):
    return network(dense, embedded) if mixing is None else network(dense, embedded, mixing)


@pytest.mark.parametrize("kind", ["supernet", "dlrm"])
@pytest.mark.parametrize(
    "constant", [{}, {"of_mixing": False}, {"of_weights": False, "of_embedded": False}, {"of_embedded": False}]
)
def test_parts_give_the_numbers_of_the_whole(model, parts, threads, kind, constant):
    if kind == "dlrm" and constant.get("of_weights") is False:
        pytest.skip("nothing has a gradient")
    torch.manual_seed(0)
    network = with_head(Network(Architecture.full(3), model, 3, 8)) if kind == "supernet" else DLRM(model, 3, 8)
    expected = passes(whole, network, **constant)
    found = passes(row_parallel.forward, network, **constant)
    assert [x is None for x in found] == [x is None for x in expected]
    for ours, theirs in zip(found, expected):
        if theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_equal_inputs_give_equal_numbers(model, parts, threads):
    torch.manual_seed(0)
    network = with_head(Network(Architecture.full(3), model, 3, 8))
    first = passes(row_parallel.forward, network)
    for _ in range(3):
        assert all(torch.equal(a, b) for a, b in zip(first, passes(row_parallel.forward, network)))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_nothing_is_recorded(model, parts, threads, mode):
    torch.manual_seed(0)
    network = with_head(Network(Architecture.full(3), model, 3, 8))
    dense, embedded = torch.randn(ROWS, 3), torch.randn(ROWS, 8, 6)
    with mode():
        found = row_parallel.forward(network, dense, embedded)
        assert found.is_inference() == (mode is torch.inference_mode)
        torch.testing.assert_close(found, network(dense, embedded), rtol=1e-4, atol=1e-4)
    assert not found.requires_grad


def test_a_fault_in_a_part_is_raised(parts, threads):
    class Faulty(torch.nn.Linear):
        def forward(self, dense, embedded):
            raise FloatingPointError("in a part")

    with pytest.raises(FloatingPointError, match="in a part"):
        row_parallel.forward(Faulty(1, 1), torch.randn(ROWS, 3), torch.randn(ROWS, 8, 6))
