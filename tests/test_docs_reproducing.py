"""docs/reproducing.md, docs/api.md and the recipe of the README: everything in them runs, on a shrunk run."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from distdnas_hpc.storage import read_yaml, write_yaml
from tests.docs import commands_of, run
from tests.report.browser import picture
from tests.shrunk import ROOT, SMALL_BATCHES, write_config

REPRODUCING, API, README = ((ROOT / page).read_text() for page in ("docs/reproducing.md", "docs/api.md", "README.md"))
DLRM = "train/dlrm/result.yaml"
RECIPE = README.split("## Criteo Terabyte")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def folder(finished_run, tmp_path_factory) -> Path:
    """A checkout where every run that the pages speak of is the finished one, and its config theirs."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "tools").symlink_to(ROOT / "tools")
    (folder / "configs").mkdir()
    for name, run_name, changes in (
        ("quickstart", "quickstart", {}),
        ("criteo_terabyte", "criteo_terabyte", {}),
        ("criteo_terabyte", "two", {}),
        ("criteo_terabyte_gamma0", "criteo_terabyte_gamma0", {"gamma": 0}),
    ):
        copy = shutil.copytree(finished_run, folder / "runs" / run_name)
        written = write_config(folder, **{**SMALL_BATCHES, "search": {**SMALL_BATCHES["search"], **changes}})
        tree = {**yaml.safe_load(written.read_text()), "run": str(folder / "runs" / name)}
        (folder / f"configs/{name}.yaml").write_text(yaml.safe_dump(tree))
        config = read_yaml(copy / "config.yaml")
        if name == "criteo_terabyte":
            config["train"]["recurring"] = tree["train"]["recurring"] = ["dlrm"]
            (folder / f"configs/{name}.yaml").write_text(yaml.safe_dump(tree))
            days = [{"test_day": day, "auc": 0.7, "ne": 0.9} for day in (2, 3, 4)]
            result = {"title": "DLRM", "state": "done", "days": days, "task": read_yaml(copy / DLRM)["task"]}
            (copy / "recurring/dlrm").mkdir(parents=True)
            write_yaml(copy / "recurring/dlrm/result.yaml", result)
        (copy / "config.yaml").write_text(yaml.safe_dump({**config, "search": {**config["search"], **changes}}))
    return folder


def test_the_commands_of_the_recipe_work(folder):
    commands = commands_of(RECIPE)
    assert [command[1] for command in commands] == ["prepare", "run", "status", "tools/table1.py"]
    for command in commands:
        told = run(command, folder)
        assert told.returncode == 0, f"{' '.join(command)}: {told.stderr}"
        assert told.stdout


def test_the_commands_of_reproducing_work(folder):
    commands = commands_of(REPRODUCING)
    assert len(commands) >= 14
    for command in commands:
        told = run(command, folder)
        assert told.returncode == 0, f"{' '.join(command)}: {told.stderr}"
        assert told.stdout
    for figure in (1, 3, 4, 5, 6, 7):
        assert (folder / f"figure{figure}.svg").is_file()


def test_pictures_that_pages_show_are_there_and_small():
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert shown == ["docs/report.png"]
    width, height = picture(ROOT / shown[0])[:2]
    assert min(width, height) > 1000
    assert (ROOT / shown[0]).stat().st_size < 300_000


def test_every_table_and_figure_with_results_has_its_command():
    named = set(re.findall(r"(Table I+|Figure \d)\b", REPRODUCING))
    assert named >= {"Table I", "Table II", "Figure 1", "Figure 3", "Figure 4", "Figure 5", "Figure 6", "Figure 7"}


def test_the_python_of_the_api_page_works(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    blocks = re.findall(r"```python\n(.*?)```", API, re.DOTALL)
    assert len(blocks) >= 7
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/api.md", "exec"), names)
    assert names["logits"].shape == (4,)
    assert (folder / "alpha.svg").is_file()
    assert (folder / "my_search/architecture.yaml").is_file()
    assert "'search', 'aggregate', 'train', 'report'" in capsys.readouterr().out


def test_the_report_says_how_to_run_it_again(folder):
    """As written in report.html, on a run that is finished."""
    page = (folder / "runs/quickstart/report.html").read_text()
    commands = re.search(r'<section id="again">.*?<pre>(.*?)</pre>', page, re.DOTALL)[1].splitlines()
    assert [command.split()[:2] for command in commands] == [
        ["distdnas", "run"], ["distdnas", "status"], ["python", "tools/table1.py"],
    ]  # fmt: skip
    for command in commands[1:]:
        told = run(command.partition("#")[0].split(), folder)
        assert told.returncode == 0, f"{command}: {told.stderr}"
    described = json.loads(run([*commands[2].partition("#")[0].split(), "--json"], folder).stdout)
    assert [row["model"] for row in described][-1] == "DLRM"
