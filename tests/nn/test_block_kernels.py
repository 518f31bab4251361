"""A block on CPUs, its sides one operation each, against the same block in torch's operations and float64."""

import copy

import pytest
import torch
from torch.autograd import grad

from distdnas_hpc.nn import block as of_blocks
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.nn.block import Block
from distdnas_hpc.nn.block_input import BlockInput, Shape
from distdnas_hpc.nn.lanes import LANES
from distdnas_hpc.nn.probe import Probe

VECTORS = 7
WIDE, NARROW = 2 * LANES, 12
"""dim_d that the dense side's kernels take, and one that they leave to torch."""


def inputs(model, dim_d, rows, vectors=VECTORS):
    """Leaves: left, right, stem, sparse vectors and the mixing weights of both sides."""
    torch.manual_seed(0)
    leaves = (
        *torch.randn(3, rows, dim_d).unbind(),
        torch.randn(vectors, rows, model.dim_s),
        torch.rand(5),
        torch.rand(5),
    )
    return [leaf.clone().requires_grad_() for leaf in leaves]


def passes(block, leaves, *, of_weights=True):
    """Both outputs, and the gradients of all that asks for one."""
    left, right, stem, sparse, *mixing = leaves
    x = BlockInput(torch.cat([left, right], 1), left, right, stem, sparse.transpose(0, 1))
    outputs = block(x, *mixing)
    asked = [x for x in (*leaves, *(block.parameters() if of_weights else ())) if x.requires_grad]
    total = sum((torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape) * y).sum() for y in outputs)
    return *(y.detach() for y in outputs), *grad(total, asked, materialize_grads=True)


def compare(block, leaves, **options):
    slow = copy.deepcopy(block).double()
    doubles = [leaf.detach().double().requires_grad_(leaf.requires_grad) for leaf in leaves]
    found, expected = passes(block, leaves, **options), passes(slow, doubles, **options)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [1, LANES, 2 * LANES + 3])
@pytest.mark.parametrize("dim_d", [WIDE, NARROW])
def test_outputs_and_all_gradients(model, dim_d, rows):
    torch.manual_seed(1)
    block = Block(DENSE_MODULES, SPARSE_MODULES, Shape(2 * dim_d, VECTORS), model.model_copy(update={"dim_d": dim_d}))
    compare(block, inputs(model, dim_d, rows))


def test_as_many_vectors_as_the_output_has_are_not_projected(model):
    torch.manual_seed(1)
    block = Block(DENSE_MODULES, SPARSE_MODULES, Shape(2 * WIDE, model.n_s), model.model_copy(update={"dim_d": WIDE}))
    compare(block, inputs(model, WIDE, LANES + 1, vectors=model.n_s))


@pytest.mark.parametrize("name", SPARSE_MODULES)
def test_a_sparse_module_alone(model, name):
    torch.manual_seed(1)
    block = Block(("linear",), (name,), Shape(2 * NARROW, VECTORS), model)
    compare(block, inputs(model, NARROW, LANES + 1)[:4])


def test_constant_weights_get_no_gradients(model):
    """As in the step of A and B; the first block's inputs may be constant, too."""
    torch.manual_seed(1)
    block = Block(DENSE_MODULES, SPARSE_MODULES, Shape(2 * WIDE, VECTORS), model.model_copy(update={"dim_d": WIDE}))
    block.requires_grad_(False)
    leaves = inputs(model, WIDE, LANES + 1)
    compare(block, leaves, of_weights=False)
    compare(block, [*(leaf.requires_grad_(False) for leaf in leaves[:4]), *leaves[4:]], of_weights=False)


@pytest.mark.parametrize("dim_d", [WIDE, NARROW])
def test_equal_inputs_give_equal_numbers(model, dim_d):
    torch.manual_seed(1)
    block = Block(DENSE_MODULES, SPARSE_MODULES, Shape(2 * dim_d, VECTORS), model.model_copy(update={"dim_d": dim_d}))
    first, second = (passes(block, inputs(model, dim_d, LANES + 1)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_what_is_not_finite_stays_visible_in_its_row(model):
    block = Block(DENSE_MODULES, SPARSE_MODULES, Shape(2 * WIDE, VECTORS), model.model_copy(update={"dim_d": WIDE}))
    for number, leaf in enumerate(leaves := inputs(model, WIDE, 3)[:4]):
        with torch.no_grad():
            before = leaf.clone()
            (leaf if number < 3 else leaf[2])[1, 0] = float("nan")
            left, right, stem, sparse = leaves
            x = BlockInput(torch.cat([left, right], 1), left, right, stem, sparse.transpose(0, 1))
            for y in block(x, torch.ones(5), torch.ones(5)):
                finite = y.flatten(1).isfinite().all(1)
                assert finite.tolist() == [True, False, True]
            leaf.copy_(before)


def test_a_probe_still_sees_every_module(model, monkeypatch):
    block = Block(DENSE_MODULES, SPARSE_MODULES, Shape(2 * WIDE, VECTORS), model.model_copy(update={"dim_d": WIDE}))
    called = []
    for side in ("dense_side", "sparse_side"):
        whole = getattr(of_blocks, side)
        monkeypatch.setattr(of_blocks, side, lambda *given, whole=whole: called.append(1) or whole(*given))
    leaves = inputs(model, WIDE, 3)
    passes(block, leaves)
    assert len(called) == 2
    with Probe(block) as probe:
        passes(block, leaves)
    assert len(called) == 2
    seen = {name for name, _ in probe._seen}
    assert {f"dense.{name}" for name in DENSE_MODULES} | {f"sparse.{name}" for name in SPARSE_MODULES} <= seen
