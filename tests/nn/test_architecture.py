"""Architectures: names, order, validation, YAML."""

import subprocess
import sys

import pytest
import yaml

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture


def test_the_modules_are_the_papers():
    assert DENSE_MODULES == ("identity", "linear", "dot_product", "crossnet", "pin")
    assert SPARSE_MODULES == ("identity3d", "linear3d", "transformer", "embed_fc", "pma")


def test_full_keeps_everything():
    full = Architecture.full(3)
    assert full.blocks == 3
    assert set(full.dense) == {DENSE_MODULES}
    assert set(full.sparse) == {SPARSE_MODULES}


def test_survives_yaml_and_other_keys():
    architecture = Architecture((("linear", "pin"), ("crossnet",)), (("pma",), ("identity3d", "embed_fc")))
    text = yaml.safe_dump({"theta": 0.2, **architecture.to_dict()})
    assert Architecture.from_dict(yaml.safe_load(text)) == architecture


def test_the_order_in_which_modules_are_named_does_not_matter():
    assert Architecture((("pin", "linear"),), (("pma",),)) == Architecture((("linear", "pin"),), (("pma",),))


@pytest.mark.parametrize(
    ("dense", "sparse", "fault"),
    [
        ((), (), "0 dense and 0 sparse"),
        ((("linear",),), (("pma",), ("pma",)), "1 dense and 2 sparse"),
        (((),), (("pma",),), "block 1, dense: no module; keep"),
        ((("linear",),), (("linear",),), "block 1, sparse: no module is called 'linear'"),
        ((("linear",), ("pin", "pin")), (("pma",),) * 2, "block 2, dense: a module stands twice"),
    ],
)
def test_faults_are_named(dense, sparse, fault):
    with pytest.raises(ValueError, match=fault):
        Architecture(dense, sparse)


def test_imports_no_torch():
    """Aggregation works on login nodes without it."""
    code = "import distdnas_hpc.search.aggregate, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
