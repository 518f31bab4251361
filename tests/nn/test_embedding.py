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


def test_gradients_are_those_of_the_looked_up_rows_alone_and_right():
    embedding, dense = Embedding(SIZES, 4), nn.Embedding(sum(SIZES), 4)
    dense.load_state_dict({"weight": embedding.weight.detach()})
    ids = torch.tensor([[0, 9, 7], [0, 1, 7]])
    for factor in (1, 2):  # a second backward pass adds up
        (factor * embedding(ids).square()).sum().backward()
        (factor * dense(ids + torch.tensor([0, 3, 13])).square()).sum().backward()
    assert embedding.weight.grad is None
    assert [gradient.numel() for _, gradient in embedding.gradients] == 2 * [ids.numel() * 4]
    torch.testing.assert_close(dense_gradient(embedding), dense.weight.grad)


def test_lookups_whose_gradient_nobody_asks_for_leave_nothing():
    embedding, factor = Embedding(SIZES, 4), torch.ones((), requires_grad=True)
    loss = (factor * embedding(torch.zeros(2, 3, dtype=torch.int64))).sum()
    assert embedding.gradients == []
    torch.autograd.grad(loss, factor)
    assert embedding.gradients == []


def dense_gradient(embedding: Embedding) -> torch.Tensor:
    """The gradient of the whole table."""
    gradient = torch.zeros_like(embedding.weight)
    for rows, of_rows in embedding.gradients:
        for row, of_row in zip(rows.flatten().tolist(), of_rows.flatten(0, 1)):
            gradient[row] += of_row
    return gradient
