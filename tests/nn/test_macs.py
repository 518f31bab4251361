"""MACs and parameters against hand counts and the paper's Table I."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from distdnas_hpc.config import Model
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.nn.baselines.dlrm import DLRM
from distdnas_hpc.nn.baselines.registry import REGISTRY
from distdnas_hpc.nn.macs import network_cost, submodule_macs
from distdnas_hpc.nn.network import Mixing, Network


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


def by_hand(model: Model, width: int, vectors: int) -> dict[str, int]:
    """MACs of each module from the shapes of its inputs: `width` columns, `vectors` vectors of dim_s."""
    d, s, n = model.dim_d, model.dim_s, model.n_s
    k = round((2 * d) ** 0.5)
    dense_projection = width * d if width != d else 0
    sparse_projection = vectors * n * s if vectors != n else 0

    def attention(queries: int, keys: int) -> int:
        query, key_value, out = queries * s * s, keys * s * 2 * s, queries * s * s
        return query + key_value + 2 * queries * keys * s + out  # scores and sums; the heads share dim_s

    return {
        "identity": dense_projection,
        "linear": width * d,
        "dot_product": width * s + vectors * k * s + (k + 1) * (k + 1) * s + k * (k + 1) // 2 * d,
        "crossnet": d * d,
        "pin": dense_projection + d * d,
        "identity3d": sparse_projection,
        "linear3d": sparse_projection + n * s * s,
        "transformer": sparse_projection + attention(n, n) + 2 * n * s * s,
        "embed_fc": vectors * n * s,
        "pma": attention(n, vectors) + n * s * s,
    }


def supernet(model: Model, dense: int = 13, sparse: int = 26) -> Network:
    return Network(Architecture.full(model.blocks), model, dense, sparse)


SIZES = pytest.mark.parametrize(
    ("changes", "sparse"),
    [({}, 26), ({"dim_d": 12, "dim_s": 6, "n_s": 4, "merged": 3, "heads": 2}, 7), ({"n_s": 26}, 26)],
    ids=["the paper's", "small", "no projection of vectors in block 1"],
)


@SIZES
def test_every_module_has_the_macs_of_its_shapes(changes, sparse):
    model = Model(blocks=3, **changes)
    counted = submodule_macs(lambda: supernet(model, 13, sparse), 13, sparse, model.dim_s)
    for i in range(3):
        width, vectors = (2 * model.dim_d, model.n_s + model.merged) if i else (model.dim_d, sparse)
        expected = by_hand(model, width, vectors)
        got = {name: counted[f"copies.0.blocks.{i}.dense.{name}"] for name in DENSE_MODULES}
        got |= {name: counted[f"copies.0.blocks.{i}.sparse.{name}"] for name in SPARSE_MODULES}
        assert got == expected, f"block {i + 1}"


@SIZES
def test_the_whole_supernet_has_the_macs_of_its_parts(changes, sparse):
    model = Model(**changes)
    d, s = model.dim_d, model.dim_s
    outputs = model.n_s + model.merged
    first, later = by_hand(model, d, sparse), by_hand(model, 2 * d, outputs)
    mergers = 7 * (d * model.merged * s + s * d)
    expected = 13 * d + sum(first.values()) + 6 * sum(later.values()) + mergers + d + outputs * s
    assert network_cost(lambda: supernet(model, 13, sparse), 13, sparse, s).macs == expected


def test_the_papers_supernet():
    assert network_cost(lambda: supernet(Model()), 13, 26, 16).macs == 4_971_488


NETWORKS = {
    "supernet": lambda: supernet(Model(blocks=2)),
    "discrete": lambda: Network(Architecture((("pin", "linear"),), (("pma", "embed_fc"),)), Model(), 13, 26),
    "copies": lambda: Network(Architecture((("dot_product",),), (("transformer",),)), Model(), 13, 26, copies=3),
    **{name: partial(baseline.build, Model(), 13, 26) for name, baseline in REGISTRY.items()},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_costs_half_of_torchs_flops_on_real_tensors(name, torchs_operations):
    """No meta device and no module tree: the count of a whole batch, shared out among its rows."""
    with FlopCounterMode(display=False) as counter:
        NETWORKS[name]()(torch.randn(5, 13), torch.randn(5, 26, 16))
    assert network_cost(NETWORKS[name], 13, 26, 16).macs == counter.get_total_flops() / 2 / 5


class Products(nn.Module):
    """4·16 inputs times 16·8 and back in each way that torch multiplies matrices."""

    def __init__(self, way: str):
        super().__init__()
        self.way, self.matrix = way, nn.Parameter(torch.empty(16, 8))

    def forward(self, dense, embedded):
        matrices = self.matrix.expand(len(embedded), -1, -1)
        if self.way == "matmul":
            return embedded @ self.matrix
        if self.way == "bmm":
            return torch.bmm(embedded, matrices)
        if self.way == "baddbmm":
            return torch.baddbmm(torch.empty(len(embedded), 4, 8, device=embedded.device), embedded, matrices)
        if self.way == "einsum":
            return torch.einsum("bvs,so->bvo", embedded, self.matrix)
        return nn.functional.linear(embedded, self.matrix.T)


@pytest.mark.parametrize("way", ["matmul", "bmm", "baddbmm", "einsum", "linear"])
def test_products_of_matrices_are_counted_however_they_are_written(way):
    assert network_cost(lambda: Products(way), 13, 4, 16).macs == 4 * 16 * 8


COUNTED = {"mm", "addmm", "bmm", "baddbmm"}
LEFT_OUT = {"add", "sub", "mul", "div", "pow", "sum", "addcmul", "relu", "sigmoid", "_softmax", "native_layer_norm"}
MOVED = {
    "cat",
    "clone",
    "constant_pad_nd",
    "expand",
    "index_select",
    "select",
    "slice",
    "split",
    "squeeze",
    "t",
    "transpose",
    "tril_indices",
    "unbind",
    "unsqueeze",
}
MOVED |= {"view", "_unsafe_view"}


class Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_operation_is_counted_or_known_to_be_left_out(name, torchs_operations):
    """A network that computes in another way must not become cheap by being overlooked."""
    network, inputs = NETWORKS[name](), (torch.randn(2, 13), torch.randn(2, 26, 16))
    options = {"mixing": Mixing(*torch.rand(2, 2, 5))} if name == "supernet" else {}
    with Operations() as operations, torch.no_grad():
        network(*inputs, **options)
    assert operations.names - COUNTED - LEFT_OUT - MOVED == set()
    assert operations.names & COUNTED
