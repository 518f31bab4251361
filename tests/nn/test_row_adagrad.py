"""Adagrad on touched rows against torch's on the dense gradient of the table."""

import copy
import pickle
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.row_adagrad import RADIX_BITS, RowAdagrad, radix_argsort, update_anywhere

SIZES = (3, 50, 20_000)
BACKENDS = ["rows", "fbgemm", "anywhere"]


def batches(count, rows=64):
    """Ids of which many occur often."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        share = torch.rand(rows, len(SIZES), generator=generator)
        yield (torch.tensor(SIZES) ** share).long() - 1


def make(backend="rows"):
    """Seeded tables and their optimizer; `anywhere` is what devices without a kernel do."""
    if backend == "fbgemm":
        pytest.importorskip("fbgemm_gpu")
    torch.manual_seed(0)
    embedding = Embedding(SIZES, 6)
    optimizer = RowAdagrad(embedding, lr=0.1, backend="rows" if backend == "anywhere" else backend)
    if backend == "anywhere":
        optimizer._update = update_anywhere
    return embedding, optimizer


def train(embedding, optimizer, steps):
    """Towards 0."""
    for ids in steps:
        optimizer.zero_grad()
        embedding(ids).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("backend", BACKENDS)
def test_is_torchs_adagrad_on_dense_gradients(backend):
    """Within float32 rounding; and about as near to Adagrad in float64 as torch's own float32 is."""
    embedding, ours = make(backend)
    target = torch.randn(64, len(SIZES), 6)
    tables = [nn.Parameter(embedding.weight.detach().to(dtype, copy=True)) for dtype in (torch.float32, torch.float64)]
    torchs = [torch.optim.Adagrad([table], lr=0.1) for table in tables]
    for ids in batches(5):
        ours.zero_grad()
        (embedding(ids) - target).square().sum().backward()
        ours.step()
        for table, optimizer in zip(tables, torchs):
            optimizer.zero_grad()
            (table[ids + embedding.offsets] - target.to(table.dtype)).square().sum().backward()
            optimizer.step()
    single, double = ((table.detach(), optimizer.state[table]["sum"]) for table, optimizer in zip(tables, torchs))
    for found, near, exact in zip((embedding.weight.detach(), ours.state[embedding.weight]["sum"]), single, double):
        torch.testing.assert_close(found, near, rtol=1e-5, atol=1e-5)
        assert (found - exact).norm() < 2 * (near - exact).norm()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
def test_copies_go_on_as_the_original_does(backend, way):
    original = make(backend)
    first, *others = batches(4)
    train(*original, [first])
    duplicate = way(original)
    for both in (original, duplicate):
        train(*both, others)
    assert torch.equal(original[0].weight, duplicate[0].weight)
    assert original[0].weight.data_ptr() != duplicate[0].weight.data_ptr()


@pytest.mark.parametrize("backend", BACKENDS)
def test_goes_on_from_its_state_bit_for_bit_and_other_backends_can_too(backend, one_thread):
    embedding, optimizer = make(backend)
    first, *others = batches(4)
    train(embedding, optimizer, [first])
    stored = copy.deepcopy((embedding.state_dict(), optimizer.state_dict()))
    train(embedding, optimizer, others)
    for other in (backend, "rows"):
        again = make(other)
        for part, state in zip(again, copy.deepcopy(stored)):
            part.load_state_dict(state)
        train(*again, others)
        exact = {"rtol": 0, "atol": 0} if other == backend else {}
        torch.testing.assert_close(again[0].weight, embedding.weight, **exact)


def test_a_fbgemm_that_is_not_there_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "fbgemm_gpu", None)
    with pytest.raises(UserError, match=r"embedding_backend is 'fbgemm'.*pip install 'distdnas-hpc\[fbgemm\]'.*'rows'"):
        RowAdagrad(Embedding(SIZES, 6), lr=0.1, backend="fbgemm")


def test_gradients_of_several_backward_passes_are_one_gradient():
    tables = []
    for split in (1, 2):
        embedding, optimizer = make()
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
        embedding, optimizer = make()
        train(embedding, optimizer, batches(3, rows=5000))
        tables.append(embedding.weight.detach())
    torch.set_num_threads(before)
    assert torch.equal(tables[0], tables[1])
    assert torch.equal(tables[1], tables[2])


@given(st.lists(st.integers(0, 2 ** (2 * RADIX_BITS) - 1)))
def test_sorts_stably(keys):
    array = np.array(keys, dtype=np.int64)
    assert (radix_argsort(array, 2) == np.argsort(array, kind="stable")).all()
