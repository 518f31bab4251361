"""The networks of earlier searches: limits of width, gates of two widths, smallest dimensions."""

import torch

from distdnas_hpc.config import Model
from distdnas_hpc.nn.baselines import autoctr_tiny, nasrec_tiny
from distdnas_hpc.nn.baselines.searched import SearchedNetwork, SigmoidGating
from distdnas_hpc.nn.block_input import BlockInput


def test_nothing_is_wider_than_the_tiny_variant_allows():
    network = autoctr_tiny.AutoCTRTiny(Model(), 13, 26)
    assert {block.norm_dense.normalized_shape[0] for block in network.blocks.values()} == {16, 128, 256, 512}
    assert network.head.in_features == 512 + 16 * 16


def test_a_gate_pads_the_shorter_source_with_zeros():
    for left, right in ((2, 3), (3, 2)):
        gating = SigmoidGating(left, right, Model(dim_d=4))
        with torch.no_grad():
            gating.gate.weight.zero_()
            gating.gate.bias.zero_()  # σ(0) = ½
        x_right = torch.arange(1.0, right + 1).expand(1, -1)
        padded = torch.cat([x_right, torch.zeros(1, 3 - right)], dim=1)
        x = BlockInput(None, torch.ones(1, left), x_right, None, None)
        torch.testing.assert_close(gating(x), gating.project(padded / 2))


def test_one_sparse_vector_leaves_none_to_merge():
    network = SearchedNetwork(nasrec_tiny.BLOCKS, Model(n_s=1), 3, 5)
    assert network(torch.randn(2, 3), torch.randn(2, 5, 16)).shape == (2,)
