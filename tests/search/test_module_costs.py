"""Costs of modules: MACs that add up exactly, latency that is found under noise."""

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.macs import network_cost
from distdnas_hpc.nn.network import Network
from distdnas_hpc.search import module_costs
from distdnas_hpc.search.cost import sample_architectures
from distdnas_hpc.search.module_costs import ROUNDS, ModuleCosts, architecture_of, module_latency, module_macs
from tests.search.test_cost import CPU, config


@pytest.fixture(scope="module")
def macs() -> ModuleCosts:
    return module_macs(config(), 13, 26)


def test_macs_add_up_for_any_architecture(macs):
    model = config().model
    for keep in sample_architectures(5, 3, np.random.default_rng(0)):
        counted = network_cost(lambda keep=keep: Network(architecture_of(keep), model, 13, 26), 13, 26, 8)
        assert macs.of(keep) == counted.macs


def test_expected_macs_are_the_mean_over_drawn_modules(macs):
    rng = np.random.default_rng(1)
    share = rng.random((3, 10))
    drawn = rng.random((20_000, 3, 10)) < share
    assert macs.of(share) == pytest.approx(macs.of(drawn).mean(), rel=0.01)


def test_module_macs_of_the_papers_supernet():
    """By hand, in block 2 of the paper's size: linear reads 2·256 columns, embed_fc 24 vectors."""
    settings = config().model_copy(update={"model": config().model.__class__()})
    macs = module_macs(settings, 13, 26)
    assert macs.modules[0, 1] == 256 * 256
    assert (macs.modules[1:, 1] == 512 * 256).all()
    assert (macs.modules[1:, 8] == 24 * 16 * 16).all()


def test_architecture_of_reads_dense_then_sparse_modules():
    keep = np.zeros((2, 10), dtype=bool)
    keep[0, [1, 4, 5]] = keep[1, [0, 9, 8]] = True
    assert architecture_of(keep) == Architecture(
        (("linear", "pin"), ("identity",)), (("identity3d",), ("embed_fc", "pma"))
    )
    assert architecture_of(np.ones((3, 10), dtype=bool)) == Architecture.full(3)


@pytest.mark.parametrize("blocks", [1, 3])
def test_latency_is_found_on_a_machine_that_is_disturbed(monkeypatch, blocks):
    """A clock with planted times: a slow half, and in every round a few calls that take ten times as long."""
    settings = config().model_copy(update={"model": config().model.model_copy(update={"blocks": blocks})})
    rng = np.random.default_rng(0)
    whole = sample_architectures(10, blocks, rng)
    kinds = rng.uniform(1, 5, size=(min(blocks, 2), 10))
    planted = ModuleCosts(7.0, 1.2 * kinds[np.minimum(np.arange(blocks), 1)])  # inside networks modules are slower
    true = np.concatenate([kinds.ravel(), planted.of(whole)])
    rounds = []

    def clock(calls):
        assert len(calls) == len(true)
        assert rounds or all(len(call()) == settings.cost.latency_batch for call in calls)
        seconds = true * (3 if len(rounds) % 20 < 10 else 1)
        seconds[rng.choice(len(true), 3, replace=False)] *= 10
        rounds.append(seconds)
        return seconds.tolist()

    monkeypatch.setattr(module_costs, "_time", clock)
    told = []
    found = module_latency(settings, 13, 26, CPU, whole, told.append)
    assert len(rounds) == ROUNDS + 1
    assert told == pytest.approx(np.arange(1, ROUNDS + 1) / ROUNDS)
    others = sample_architectures(50, blocks, rng)
    ratio = found.of(others) / planted.of(others)
    assert ratio == pytest.approx(np.full(50, ratio.mean()), rel=0.05)


@pytest.mark.parametrize("blocks", [1, 3])
def test_with_a_clock_that_counts_macs_latency_is_macs(monkeypatch, torchs_operations, blocks):
    """So every module is timed in its place, on inputs of its block's size, and the base is what the rest does."""
    settings = config().model_copy(update={"model": config().model.model_copy(update={"blocks": blocks})})

    def clock(calls):
        counts = []
        for call in calls:
            with FlopCounterMode(display=False) as counter:
                call()
            counts.append(counter.get_total_flops() / 2)
        return counts

    monkeypatch.setattr(module_costs, "_time", clock)
    monkeypatch.setattr(module_costs, "ROUNDS", 1)
    whole = sample_architectures(10, blocks, np.random.default_rng(0))
    found, expected = module_latency(settings, 13, 26, CPU, whole, lambda share: None), module_macs(settings, 13, 26)
    unit = expected.modules.sum() / found.modules.sum()
    assert unit * found.modules == pytest.approx(expected.modules, rel=1e-6)
    assert unit * found.base == pytest.approx(expected.base, rel=1e-6)
