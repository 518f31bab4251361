"""docs/models.md: its commands work as written, and its table of costs is what they print."""

import json
import re

import pytest

from distdnas_hpc.config.train import BASELINES
from tests.docs import commands_of, run
from tests.shrunk import ROOT

DOCS = (ROOT / "docs/models.md").read_text()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> list[str]:
    """What each command prints, in a working directory where nothing ever ran."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "configs").symlink_to(ROOT / "configs")
    told = [run(command, folder) for command in commands_of(DOCS)]
    assert all(each.returncode == 0 for each in told), told
    assert not (folder / "runs").exists(), "nothing is written"
    return [each.stdout for each in told]


def test_the_pages_table_is_what_the_command_prints(printed):
    table = DOCS.split("## Against Table I")[1].split("The paper's interactions")[0]
    rows = [cells(line) for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 8
    for title, *numbers in rows:
        (line,) = [line.split() for line in printed[0].splitlines() if line.startswith(f"{title} ")]
        assert line[1:7] == numbers, title


def test_json_has_every_model(printed):
    content = json.loads(printed[1])
    assert [row["model"] for row in content["models"]] == ["supernet", *BASELINES]
    assert content["table_rows"] == 29_064_013
    supernet = content["models"][0]
    assert (supernet["macs"], supernet["interaction_parameters"]) == (4_971_488, 4_208_440)
    assert f"{supernet['macs'] / 1e6:.3f} M MACs and {supernet['interaction_parameters'] / 1e6:.3f} M" in DOCS
    assert supernet["parameters"] == 4_208_440 + 29_064_013 * 16


def test_every_baseline_is_on_the_page_with_files_that_exist():
    for name in BASELINES:
        (line,) = [line for line in DOCS.splitlines() if line.startswith(f"| `{name}`")]
        for file in re.findall(r"`(\w+\.py)`", line):
            assert (ROOT / "distdnas_hpc/nn/baselines" / file).is_file()
