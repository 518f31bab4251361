"""docs/evidence.md: its commands work as written, on few rows."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from distdnas_hpc.storage import read_yaml
from tests.shrunk import ROOT, distdnas

DOCS = (ROOT / "docs/evidence.md").read_text()
COMMANDS = [
    line.partition("#")[0].split()
    for block in re.findall(r"```sh\n(.*?)```", DOCS, re.S)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A working directory with the configs of the page: three days of 400 rows, one block, no other process."""
    folder = tmp_path_factory.mktemp("evidence")
    shutil.copytree(ROOT / "configs", folder / "configs")
    path = folder / "configs/planted_products.yaml"
    tree = yaml.safe_load(path.read_text())
    small = {
        "planted": {"rows": 400, "click_rate": 0.3},
        "data": {"days": 3},
        "model": {"blocks": 1},
        "cost": {"samples": 20, "trees": 5},
        "search": {"days": 1, "batch_size": 100},
        "train": {"days": "1-2", "test_day": 3},
        "cluster": {"executor": "inline"},
    }
    path.write_text(yaml.safe_dump(tree | {section: tree[section] | keys for section, keys in small.items()}))
    return folder


def test_commands_work_in_the_order_given(folder):
    assert [command[:2] for command in COMMANDS] == [["distdnas", "planted"]] * 2 + [["distdnas", "run"]]
    said = []
    for command in COMMANDS:
        told = distdnas(*command[1:], cwd=folder)
        assert told.returncode == 0, f"{' '.join(command)}: {told.stderr}"
        said.append(told.stdout)
    table, objects, comparison = said
    truths = [read_yaml(folder / f"planted/products/day_{number}.tsv.gz.truth.yaml") for number in range(3)]
    assert json.loads(objects) == truths
    for truth in truths:
        assert f"{truth['bayes']['auc']:.4f}" in table
    assert "DistDNAS" in comparison


def test_every_config_that_the_page_names_is_there_and_plants_what_it_says(folder):
    named = {name: part for part, name in re.findall(r"^\| `(\w+)` .*`(planted_\w+\.yaml)` \|$", DOCS, re.M)}
    assert len(named) == 4
    for name, part in named.items():
        parts = yaml.safe_load((ROOT / "configs" / name).read_text())["planted"]["parts"]
        assert list(parts) == [part]
    assert len(yaml.safe_load((ROOT / "configs/planted_mixture.yaml").read_text())["planted"]["parts"]) == 4
