"""MACs and parameters against hand counts and the paper's Table I."""

import torch
from torch import nn

from distdnas_hpc.config import Model
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.baselines.dlrm import DLRM
from distdnas_hpc.nn.macs import network_cost, submodule_macs
from distdnas_hpc.nn.network import Network


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense, self.sparse = nn.Linear(3, 5), nn.Linear(4, 2, bias=False)

    def forward(self, dense, embedded):
        return self.dense(dense).sum(1) + self.sparse(embedded).sum((1, 2))


def test_counts_products_a_row_and_every_parameter():
    cost = network_cost(TwoLayers, dense=3, sparse=7, dim_s=4)
    assert cost.macs == 3 * 5 + 7 * 4 * 2
    assert cost.parameters == 3 * 5 + 5 + 4 * 2


def test_submodules_are_counted_by_name():
    assert submodule_macs(TwoLayers, dense=3, sparse=7, dim_s=4) == {"": 71, "dense": 15, "sparse": 56}


def test_dlrm_has_the_papers_macs():
    """13→512→16, 27 vectors, 367→512×7→1 (DESIGN §8): 1.788 M; Table I prints 1.79 M."""
    cost = network_cost(lambda: DLRM(Model(), 13, 26), 13, 26, 16)
    layers = 13 * 512 + 512 * 16 + 367 * 512 + 6 * 512 * 512 + 512
    assert cost.macs == layers + 27 * 27 * 16
    assert round(cost.macs / 1e6, 2) == 1.79
    assert cost.parameters == layers + 512 + 16 + 7 * 512 + 1


def test_a_small_network_by_hand(model):
    """Every product of one block with linear and pma; dim_d 12, dim_s 6, N_s 4, 3 merged, 3 and 8 columns."""
    network = Architecture((("linear",),), (("pma",),))
    cost = network_cost(lambda: Network(network, model, 3, 8), 3, 8, 6)
    stem, linear = 3 * 12, 12 * 12
    attention = 4 * 6 * 6 + 8 * 6 * 12 + 2 * (4 * 8 * 6) + 4 * 6 * 6
    pma = attention + 4 * 6 * 6
    mergers, head = 12 * 18 + 6 * 12, 12 + 7 * 6
    assert cost.macs == stem + linear + pma + mergers + head


def test_nothing_is_allocated():
    """A network of 10¹² parameters is counted all the same."""
    cost = network_cost(lambda: _Wide(), 13, 26, 16)
    assert cost.parameters == 10**12


class _Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(10**6, 10**6))

    def forward(self, dense, embedded):
        return dense @ torch.empty(13, 1)


def test_counting_leaves_the_default_device_and_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    network_cost(TwoLayers, 3, 7, 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.empty(1).device.type == "cpu"
