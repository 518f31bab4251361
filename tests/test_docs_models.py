"""docs/models.md: its commands work as written, and its table of costs is what they print."""

import json
import re
import shutil

import pytest
import yaml

from distdnas_hpc.config.train import BASELINES
from distdnas_hpc.nn.baselines.registry import REGISTRY
from distdnas_hpc.storage import write_yaml
from tests.docs import commands_of, run
from tests.shrunk import ROOT

DOCS = (ROOT / "docs/models.md").read_text()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> list[str]:
    """What each command about costs prints, in a working directory where nothing ever ran."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "configs").symlink_to(ROOT / "configs")
    told = [run(command, folder) for command in commands_of(DOCS) if command[1] == "models"]
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


def test_comparing_and_recurring_training(finished_run, tmp_path):
    """On the shrunk quickstart, searched, and with the page's recurring training of models that take little time."""
    folder = shutil.copytree(finished_run, tmp_path / "runs/quickstart")
    shutil.rmtree(folder / "train")
    (told,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.S)
    assert yaml.safe_load(told) == {"train": {"recurring": ["distdnas", "dcnv2", "dlrm"]}}
    tree = yaml.safe_load((folder / "config.yaml").read_text())
    tree["run"], tree["train"] = str(folder), tree["train"] | {"batch_size": 64} | yaml.safe_load(told)["train"]
    for path in (folder / "config.yaml", tmp_path / "configs/quickstart.yaml"):
        path.parent.mkdir(exist_ok=True)
        write_yaml(path, tree)
    (tmp_path / "tools").symlink_to(ROOT / "tools")

    commands = [command for command in commands_of(DOCS) if command[1] != "models"]
    assert [command[1] for command in commands] == [*["compare"] * 3, *["tools/plot_recurring.py"] * 2]
    told = [run(command, tmp_path) for command in commands]
    assert all(each.returncode == 0 for each in told), told
    everything = [REGISTRY[name].title for name in BASELINES]
    assert all(re.search(f"^{re.escape(title)} .*0\\.", told[0].stdout, re.M) for title in everything), told[0].stdout
    assert [row["model"] for row in json.loads(told[2].stdout)][1:] == ["DCN-v2", "DeepFM"]
    assert told[1].stdout.count("DeepFM") == 1
    assert "DLRM" not in told[1].stdout.split("Relative")[0]
    assert (tmp_path / "figure7.svg").read_text().startswith("<svg")
    rows = json.loads(told[4].stdout)
    assert [(row["model"], row["day"]) for row in rows if row["model"] == "DCN-v2"] == [
        ("DCN-v2", d) for d in (2, 3, 4)
    ]
    assert len(rows) == 9


def test_every_baseline_is_on_the_page_with_files_that_exist():
    for name in BASELINES:
        (line,) = [line for line in DOCS.splitlines() if line.startswith(f"| `{name}`")]
        for file in re.findall(r"`(\w+\.py)`", line):
            assert (ROOT / "distdnas_hpc/nn/baselines" / file).is_file()
