"""The network: which block reads what, copies, the supernet and its discrete parts."""

import pytest
import torch

from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.macs import network_cost
from distdnas_hpc.nn.network import Mixing, Network
from tests.nn.heads import with_head

DENSE, SPARSE = 3, 8
SMALL = Architecture((("linear",), ("pin", "crossnet"), ("dot_product",)), (("pma",), ("identity3d",), ("embed_fc",)))


def inputs(model, rows=6):
    torch.manual_seed(1)
    return torch.randn(rows, DENSE), torch.randn(rows, SPARSE, model.dim_s)


def test_gives_one_logit_a_row(model):
    assert Network(SMALL, model, DENSE, SPARSE)(*inputs(model)).shape == (6,)


def test_begins_with_the_same_logit_for_every_row(model):
    assert not Network(SMALL, model, DENSE, SPARSE)(*inputs(model)).any()


def test_blocks_read_the_two_dense_outputs_and_the_one_sparse_output_before_them(model):
    network = with_head(Network(SMALL, model, DENSE, SPARSE))
    seen, made = [], []
    for block in network.copies[0].blocks:
        block.register_forward_hook(lambda _, args, output: seen.append(args[0]))
        block.register_forward_hook(lambda _, args, output: made.append(output))
    dense, embedded = inputs(model)
    logits = network(dense, embedded)

    stem = network.copies[0].stem(dense)
    (d1, s1), (d2, s2), (d3, s3) = made
    assert all(torch.equal(x.stem, stem) for x in seen)
    assert [x.dense.shape[1] for x in seen] == [model.dim_d, 2 * model.dim_d, 2 * model.dim_d]
    assert torch.equal(seen[0].dense, stem)
    assert torch.equal(seen[1].dense, torch.cat([d1, stem], 1))
    assert torch.equal(seen[2].dense, torch.cat([d2, d1], 1))
    for x, (left, right) in zip(seen, [(stem, stem), (d1, stem), (d2, d1)]):
        assert torch.equal(x.left, left)
        assert torch.equal(x.right, right)
    for x, sparse in zip(seen, [embedded, s1, s2]):
        assert torch.equal(x.sparse, sparse)
    torch.testing.assert_close(logits, network.head(torch.cat([d3, s3.flatten(1)], 1))[:, 0])


def test_one_hot_mixing_of_the_supernet_is_the_discrete_network(model):
    supernet = with_head(Network(Architecture.full(3), model, DENSE, SPARSE))
    discrete = Network(SMALL, model, DENSE, SPARSE)
    discrete.load_state_dict(supernet.state_dict(), strict=False)
    dense, sparse = torch.zeros(3, 5), torch.zeros(3, 5)
    dense[0, 1] = dense[1, 4] = dense[1, 3] = dense[2, 2] = 1
    sparse[0, 4] = sparse[1, 0] = sparse[2, 3] = 1
    torch.testing.assert_close(supernet(*inputs(model), Mixing(dense, sparse)), discrete(*inputs(model)))


def test_every_weight_of_the_supernet_gets_a_gradient(model):
    supernet = with_head(Network(Architecture.full(3), model, DENSE, SPARSE))
    mixing = Mixing(torch.full((3, 5), 0.2, requires_grad=True), torch.full((3, 5), 0.2, requires_grad=True))
    supernet(*inputs(model), mixing).square().sum().backward()
    silent = [name for name, p in supernet.named_parameters() if p.grad is None or not p.grad.any()]
    # A key's bias shifts all scores of a query alike, which the softmax drops.
    assert not [name for name in silent if "key_value.bias" not in name]
    assert all(side.grad.ne(0).all() for side in mixing)


@pytest.mark.parametrize("copies", [2, 3])
def test_copies_multiply_macs_and_parameters(model, copies):
    one, many = (
        network_cost(lambda m=m: Network(SMALL, model, DENSE, SPARSE, copies=m), DENSE, SPARSE, model.dim_s)
        for m in (1, copies)
    )
    assert many.macs == copies * one.macs
    assert many.parameters - 1 == copies * (one.parameters - 1)  # the head has one bias


def test_copies_are_independent_and_meet_in_the_head(model):
    network = with_head(Network(SMALL, model, DENSE, SPARSE, copies=2))
    singles = [Network(SMALL, model, DENSE, SPARSE) for _ in range(2)]
    for single, copy, weight in zip(singles, network.copies, network.head.weight.chunk(2, dim=1)):
        single.copies[0].load_state_dict(copy.state_dict())
        with torch.no_grad():
            single.head.weight.copy_(weight)
            single.head.bias.copy_(network.head.bias)
    expected = sum(single(*inputs(model)) for single in singles) - network.head.bias
    torch.testing.assert_close(network(*inputs(model)), expected)


def test_stays_in_range_at_the_papers_depth(model):
    """Seven blocks multiply; without the LayerNorms the logits overflow on inputs as large as these."""
    deep = model.model_copy(update={"blocks": 7})
    dense, embedded = inputs(model, rows=64)
    logits = with_head(Network(Architecture.full(7), deep, DENSE, SPARSE))(100 * dense, 100 * embedded)
    assert logits.abs().max() < 100
