"""The fused embedding table."""

import torch
from torch import nn

from distdnas_hpc.nn.embedding import Embedding

SIZES = (3, 10, 400)


def test_looks_up_each_column_in_its_own_table():
    embedding = Embedding(SIZES, 4)
    tables = embedding.weight.split(SIZES)
    ids = torch.stack([torch.randint(size, (6,)) for size in SIZES], dim=1)
    expected = torch.stack([tables[column][ids[:, column]] for column in range(3)], dim=1)
    assert torch.equal(embedding(ids), expected)


def test_starts_uniform_within_the_root_of_one_over_rows():
    for table in Embedding(SIZES, 64).weight.split(SIZES):
        bound = (1 / len(table)) ** 0.5
        assert table.abs().max() <= bound
        assert abs(table.std() / (bound / 3**0.5) - 1) < 0.15


def test_gradients_are_sparse_and_right():
    embedding, dense = Embedding(SIZES, 4), nn.Embedding(sum(SIZES), 4)
    dense.load_state_dict({"weight": embedding.weight.detach()})
    ids = torch.tensor([[0, 9, 7], [0, 1, 7]])
    embedding(ids).square().sum().backward()
    dense(ids + torch.tensor([0, 3, 13])).square().sum().backward()
    assert embedding.weight.grad.is_sparse
    torch.testing.assert_close(embedding.weight.grad.to_dense(), dense.weight.grad)
