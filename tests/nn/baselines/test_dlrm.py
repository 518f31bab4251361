"""DLRM against a row-by-row reference."""

import torch

from distdnas_hpc.nn.baselines.dlrm import DLRM


def test_interactions_are_the_products_of_all_pairs(model):
    torch.manual_seed(0)
    network = DLRM(model, dense=3, sparse=5)
    dense, embedded = torch.randn(4, 3), torch.randn(4, 5, model.dim_s)
    logits = network(dense, embedded)
    for row in range(4):
        bottom = network.bottom(dense[row])
        vectors = [bottom, *embedded[row]]
        products = torch.stack([vectors[i] @ vectors[j] for i in range(6) for j in range(i)])
        torch.testing.assert_close(logits[row], network.top(torch.cat([bottom, products]))[0])
