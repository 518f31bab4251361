"""Adagrad on touched rows against torch's on the dense gradient of the table."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.row_adagrad import RADIX_BITS, RowAdagrad, radix_argsort, update_anywhere, update_on_cpu

SIZES = (3, 50, 20_000)


def batches(count, rows=64):
    """Ids of which many occur often."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        share = torch.rand(rows, len(SIZES), generator=generator)
        yield (torch.tensor(SIZES) ** share).long() - 1


@pytest.mark.parametrize("update", [update_on_cpu, update_anywhere])
def test_is_torchs_adagrad_on_dense_gradients(update, monkeypatch):
    monkeypatch.setattr("distdnas_hpc.nn.row_adagrad.update_on_cpu", update)
    embedding = Embedding(SIZES, 6)
    table = nn.Parameter(embedding.weight.detach().clone())
    ours, torchs = RowAdagrad(embedding, lr=0.1), torch.optim.Adagrad([table], lr=0.1)
    target = torch.randn(64, len(SIZES), 6)
    for ids in batches(5):
        ours.zero_grad()
        torchs.zero_grad()
        (embedding(ids) - target).square().sum().backward()
        (table[ids + embedding.offsets] - target).square().sum().backward()
        ours.step()
        torchs.step()
        torch.testing.assert_close(embedding.weight, table)
        torch.testing.assert_close(ours.state[embedding.weight]["sum"], torchs.state[table]["sum"])


def test_gradients_of_several_backward_passes_are_one_gradient():
    tables = []
    for split in (1, 2):
        torch.manual_seed(0)
        embedding = Embedding(SIZES, 6)
        optimizer = RowAdagrad(embedding, lr=0.1)
        (ids,) = batches(1)
        for part in ids.chunk(split):
            embedding(part).square().sum().backward()
        optimizer.step()
        tables.append(embedding.weight.detach())
    torch.testing.assert_close(*tables)


def test_equal_batches_give_equal_tables_with_any_number_of_threads():
    tables = []
    before = torch.get_num_threads()
    for threads in (1, 2, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        embedding = Embedding(SIZES, 6)
        optimizer = RowAdagrad(embedding, lr=0.1)
        for ids in batches(3, rows=5000):
            optimizer.zero_grad()
            embedding(ids).square().sum().backward()
            optimizer.step()
        tables.append(embedding.weight.detach())
    torch.set_num_threads(before)
    assert torch.equal(tables[0], tables[1])
    assert torch.equal(tables[1], tables[2])


@given(st.lists(st.integers(0, 2 ** (2 * RADIX_BITS) - 1)))
def test_sorts_stably(keys):
    array = np.array(keys, dtype=np.int64)
    assert (radix_argsort(array, 2) == np.argsort(array, kind="stable")).all()
