"""docs/cluster.md: its commands work as written on a finished run, and its tables name what there is."""

import json
import re
import shutil

import pytest
import yaml

from distdnas_hpc.cluster.display import STYLES
from distdnas_hpc.cluster.status import WENT_WRONG
from tests.shrunk import ROOT, SMALL_BATCHES, distdnas, write_config

DOCS = (ROOT / "docs/cluster.md").read_text()
COMMANDS = [
    line.partition("#")[0].split()
    for block in re.findall(r"```sh\n(.*?)```", DOCS, re.S)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def checkout(finished_run, tmp_path_factory):
    """A working directory with the finished run where the page has it, and its config."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(finished_run, folder / "runs/quickstart")
    config = write_config(folder, **SMALL_BATCHES)
    tree = yaml.safe_load(config.read_text()) | {"run": "runs/quickstart"}
    (folder / "configs").mkdir()
    (folder / "configs/quickstart.yaml").write_text(yaml.safe_dump(tree))
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_works_as_written(command, checkout):
    told = distdnas(*command[1:], cwd=checkout)
    assert told.returncode == 0, told.stderr + told.stdout
    assert told.stdout
    if "--json" in command:
        assert json.loads(told.stdout)


def test_the_page_names_every_state():
    table = DOCS.split("Its states:")[1].split("A task on another node")[0]
    named = re.findall(r"^\| ([\w ,]+) \|", table, re.MULTILINE)
    assert {state for cell in named[1:] for state in cell.split(", ")} == {"pending", "running", "done", *WENT_WRONG}
    assert set(STYLES) == {"pending", "running", "done", *WENT_WRONG}
