"""Naming the module that goes wrong."""

import pytest
import torch

from distdnas_hpc.nn import row_parallel
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.network import Network
from distdnas_hpc.nn.probe import Probe, words
from tests.nn.heads import with_head

INPUTS = torch.randn(6, 3), torch.randint(0, 5, (6, 2))


@pytest.fixture
def ctr(model) -> CTRModel:
    return CTRModel(Embedding([5, 5], model.dim_s), with_head(Network(Architecture.full(3), model, 3, 2, copies=2)))


def culprit(ctr) -> str:
    with Probe(ctr) as probe, torch.no_grad():
        ctr(*INPUTS)
    return probe.culprit()


def poison(ctr, name: str, value: float) -> None:
    module = ctr.get_submodule(name)
    with torch.no_grad():
        next(iter(module.parameters())).fill_(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("side", ["dense", "sparse"])
@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_the_first_module_whose_output_is_not_finite_is_named(ctr, value, side, place):
    name = (DENSE_MODULES if side == "dense" else SPARSE_MODULES)[place]
    path = f"network.copies.0.blocks.1.{side}.{name}"
    if not list(ctr.get_submodule(path).parameters()):
        pytest.skip("nothing in it to be poisoned")
    poison(ctr, path, value)
    poison(ctr, "network.copies.0.blocks.2.dense.linear", value)  # later, so it is innocent
    assert culprit(ctr) == f"the first output that is not finite is that of block 2, {side} module {name}"


def test_without_such_an_output_the_largest_one_is_named(ctr):
    poison(ctr, "network.copies.1.blocks.0.dense.crossnet", 1e9)
    told = culprit(ctr)
    assert told.startswith("all outputs are finite; the largest, ")
    assert told.endswith("is that of block 1, dense module crossnet, of copy 2")


def test_what_is_no_interaction_module_is_named_too(ctr):
    poison(ctr, "network.copies.0.stem", float("nan"))
    assert culprit(ctr).endswith("is that of stem")
    poison(ctr, "embedding", float("nan"))
    assert culprit(ctr).endswith("is that of module embedding")
    assert words("network.copies.0.blocks.2.dense_to_sparse") == "block 3, dense_to_sparse"
    assert words("network.head") == "module network.head"


def test_leaves_the_model_as_it_was(ctr):
    before = ctr(*INPUTS)
    culprit(ctr)
    assert torch.equal(ctr(*INPUTS), before)
    assert not any(module._forward_hooks for module in ctr.modules())


def test_modules_are_seen_in_their_order_where_a_batch_would_go_in_parts(ctr, monkeypatch):
    monkeypatch.setattr(row_parallel, "LEAST_ROWS", 1)
    monkeypatch.setattr(row_parallel, "MOST_ROWS", 2)
    with Probe(ctr) as probe, torch.no_grad():
        ctr(*INPUTS)
    names = [name for name, _ in probe._seen]
    assert names.count("network.copies.0.stem") == names.count("network.head") == 1, "each part would be seen"


def test_a_model_that_was_not_used_has_no_culprit(ctr):
    with Probe(ctr) as probe:
        pass
    assert probe.culprit() == "no module was seen at work"
