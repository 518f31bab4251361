"""The choice block: sums, mixing weights, mergers."""

import itertools

import torch
from torch.nn.functional import layer_norm

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.nn.block import Block, factorization_machine


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_factorization_machine_sums_the_products_of_all_pairs():
    vectors = torch.randn(2, 5, 3)
    expected = [sum(a * b for a, b in itertools.combinations(row, 2)) for row in vectors]
    close(factorization_machine(vectors), torch.stack(expected))


def test_outputs_follow_the_definition(model, shape, block_input):
    block = Block(DENSE_MODULES, SPARSE_MODULES, shape, model)
    p, q = torch.rand(5), torch.rand(5)
    dense = sum(p[j] * block.dense[name](block_input) for j, name in enumerate(DENSE_MODULES))
    sparse = sum(q[j] * block.sparse[name](block_input) for j, name in enumerate(SPARSE_MODULES))
    extra = block.dense_to_sparse(dense).view(len(dense), model.merged, model.dim_s)
    merged = dense + block.sparse_to_dense(factorization_machine(sparse))

    got_dense, got_sparse = block(block_input, p, q)
    close(got_dense, layer_norm(merged, (model.dim_d,)))
    close(got_sparse, layer_norm(torch.cat([sparse, extra], 1), (model.dim_s,)))
    assert got_sparse.shape[1] == model.n_s + model.merged


def test_without_weights_the_kept_modules_are_summed(model, shape, block_input):
    block = Block(("linear", "crossnet"), ("pma",), shape, model)
    full = Block(DENSE_MODULES, SPARSE_MODULES, shape, model)
    full.load_state_dict(block.state_dict(), strict=False)
    p, q = torch.tensor([0.0, 1, 0, 1, 0]), torch.tensor([0.0, 0, 0, 0, 1])
    for ours, theirs in zip(block(block_input), full(block_input, p, q)):
        close(ours, theirs)


def test_a_discrete_block_has_the_kept_modules_alone(model, shape):
    block = Block(("pin",), ("embed_fc", "linear3d"), shape, model)
    assert (set(block.dense), set(block.sparse)) == ({"pin"}, {"embed_fc", "linear3d"})
