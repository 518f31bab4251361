"""MACs and parameters of every model: stacked networks, and what the paper says of them."""

import pytest

from distdnas_hpc.config import Config, Model
from distdnas_hpc.config.train import BASELINES
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.nn.macs import network_cost
from distdnas_hpc.nn.network import Network
from distdnas_hpc.train.model_costs import is_the_papers, model_costs

SMALL = {"dim_d": 12, "dim_s": 6, "n_s": 4, "merged": 3, "heads": 2, "baseline_layers": 1}
ARCHITECTURES = {
    "dense modules": Architecture(dense=tuple((name,) for name in DENSE_MODULES), sparse=(("identity3d",),) * 5),
    "sparse modules": Architecture(dense=(("linear", "pin"),) * 5, sparse=tuple((name,) for name in SPARSE_MODULES)),
    "everything": Architecture.full(2),
}


def config(*, sparse: int = 26, **changes) -> Config:
    return Config.model_validate(
        {
            "run": "unused",
            "data": {"schema": {"dense": 13, "sparse": sparse}, "raw": "day_{day}", "days": 2},
            "search": {"days": 1, "theta": [0.25, 0.2]},
            "train": {"days": 1, "test_day": 2, "warmup_days": 0, "copies": [1, 4]},
            **changes,
        }
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_m_copies_cost_exactly_m_times_the_interaction_part(name):
    """All but the one bias of the logit, at which copies meet."""
    model = Model(**SMALL)
    one, *more = [
        network_cost(lambda m=m: Network(ARCHITECTURES[name], model, 13, 26, copies=m), 13, 26, 6) for m in (1, 2, 3, 4)
    ]
    for m, cost in enumerate(more, start=2):
        assert cost.macs == m * one.macs
        assert cost.parameters - 1 == m * (one.parameters - 1)


def test_the_papers_discovered_networks_stand_beside_ours():
    found = {0.25: Architecture.full(1), 0.2: Architecture.full(1)}
    costs = {cost.title: cost for cost in model_costs(config(), found)}
    assert costs["DistDNAS (θ=0.25, M=4)"].paper_macs == 7.87e6
    assert costs["DistDNAS (θ=0.2, M=1)"].paper_macs == 3.11e6
    assert costs["DistDNAS (θ=0.2, M=1)"].paper_interaction_parameters == pytest.approx(2.88e6)
    assert costs["DistDNAS (θ=0.2, M=4)"].paper_macs is None
    assert costs["DLRM"].paper_interaction_parameters == pytest.approx(1.78e6)
    assert costs["MaskNet"].paper_macs is costs["Supernet"].paper_macs is None


def test_other_dimensions_have_no_paper_and_thetas_that_are_not_found_are_left_out():
    costs = model_costs(config(model=SMALL), {0.2: Architecture.full(1)})
    assert [cost.model for cost in costs] == ["supernet", "distdnas", "distdnas", *BASELINES]
    assert costs[1].title == "DistDNAS (θ=0.2, M=1)"
    assert {cost.paper_macs for cost in costs} == {None}


def test_the_papers_dimensions():
    assert is_the_papers(config())
    assert not is_the_papers(config(sparse=25))
    assert not is_the_papers(config(model={"dim_s": 8}))
