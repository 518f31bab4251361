"""The tools: without torch, as their help shows them, ending as the `distdnas` command does."""

import csv
import json
import re
import runpy
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import pyarrow.parquet as pq
import pytest
import yaml

from distdnas_hpc.config import Config
from tests.debian import require
from tests.prepared import prepare, write_day
from tests.report.conftest import SyntheticRun, synthetic_study
from tests.shrunk import ROOT

TOOLS = sorted(path for path in (ROOT / "tools").glob("*.py") if path.stem != "face")
EXAMPLES = [
    (tool.stem, line.split("  ")[0].split()[2:])
    for tool in TOOLS
    for line in re.findall(r"^    (python tools/.*)$", tool.read_text(), re.MULTILINE)
]
WITHOUT_TORCH = """
import importlib.abc, json, runpy, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "numba", "sklearn", "scipy", "submitit", "typer", "isal"}:
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Blocked())
for tool, arguments in json.loads(sys.argv[1]):
    sys.argv = [tool, *arguments]
    sys.path[0] = "tools"
    runpy.run_path(tool, run_name="__main__")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkout whose run folders hold one run of known values, with real shards; the tools' examples name them."""
    folder = tmp_path_factory.mktemp("checkout")
    synthetic = SyntheticRun(folder / "quickstart")
    synthetic.write_next_days()
    run = synthetic.path
    data = {"schema": {"dense": 2, "sparse": 3}, "raw": f"{folder}/day_{{day}}", "days": 6}
    days = {"search": {"days": 1}, "train": {"days": 1, "test_day": 2, "warmup_days": 0}}
    for day in range(1, 7):
        write_day(folder / f"day_{day - 1}", day, rows=100)
    shutil.rmtree(run / "prepared")
    prepare(Config.model_validate({"run": str(folder), "data": data, **days}), run)
    (folder / "runs").mkdir()
    for name in {part.split("/")[1] for _, arguments in EXAMPLES for part in arguments if part.startswith("runs/")}:
        if name != "*":
            (folder / "runs" / name).symlink_to(run)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return synthetic_study(tmp_path_factory.mktemp("study") / "three_strategies")


@pytest.fixture
def tool(folder, monkeypatch, capsys):
    """Runs a tool in this process and in that folder; gives its exit status and what it printed to either side."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(ROOT / "tools"))

    def run(name: str, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [f"tools/{name}.py", *map(str, arguments)])
        try:
            runpy.run_path(str(ROOT / "tools" / f"{name}.py"), run_name="__main__")
            status = 0
        except SystemExit as end:
            status = end.code or 0
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_every_tool_shows_how_to_call_it():
    assert {name for name, _ in EXAMPLES} == {tool.stem for tool in TOOLS}
    assert len(TOOLS) == 12


@pytest.mark.parametrize(("name", "arguments"), EXAMPLES, ids=lambda part: part if isinstance(part, str) else None)
def test_the_examples_in_the_help_work(tool, folder, name, arguments):
    globbed = [part for a in arguments for part in (sorted(map(str, folder.glob(a))) if "*" in a else [a])]
    status, out, err = tool(name, *globbed)
    assert (status, err) == (0, "")
    assert out


def test_all_of_them_run_where_torch_and_all_that_trains_is_not_installed(folder, tmp_path):
    """In a process that can't import it."""
    (tmp_path / "runs").symlink_to(folder / "runs")
    commands = {name: arguments for name, arguments in EXAMPLES if not any("*" in part for part in arguments)}
    calls = [
        (str(ROOT / "tools" / f"{name}.py"), [a.replace(".pdf", ".svg") for a in arguments])
        for name, arguments in commands.items()
    ]
    program = WITHOUT_TORCH.replace('"tools"', repr(str(ROOT / "tools")))
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(calls)], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(commands) == {tool.stem for tool in TOOLS}


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.stem)
def test_help_teaches(tool, path):
    status, out, _ = tool(path.stem, "--help")
    assert status == 0
    assert f"python tools/{path.stem}.py runs/" in out


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.stem)
def test_a_folder_that_is_no_run_is_told_in_a_sentence(tool, tmp_path, path):
    status, out, err = tool(path.stem, tmp_path)
    assert (status, out) == (2, "")
    assert err.startswith("Error: ")
    assert str(tmp_path) in err
    assert "Traceback" not in err


def test_table_1_shows_the_run_s_numbers_beside_the_paper_s(tool):
    _, out, _ = tool("table1", "runs/quickstart", "--paper", "--json")
    rows = json.loads(out)
    assert [row["model"] for row in rows[:3]] == ["DistDNAS (θ=0.2, M=1)", "DLRM", "DLRM"]
    assert rows[0]["relative_ne_percent"] == pytest.approx(1.0)
    assert rows[2] == {
        "run": None, "model": "DLRM", "macs": 1_790_000, "parameters": 453_600_000, "ne": 0.8462,
        "relative_ne_percent": 0.0, "auc": 0.8017, "logloss": 0.12432,
    }  # fmt: skip
    assert len(rows) == 2 + 13


def test_days_are_aggregated_with_spread_and_agreement(tool):
    _, out, _ = tool("aggregate_days", "runs/quickstart", "--json")
    told = json.loads(out)
    assert told["alpha"][0][:2] == pytest.approx([0.306, 0.234])
    assert told["alpha_spread"][0][0] == pytest.approx(0.00516, abs=1e-5)
    assert [day["rank_correlation"] for day in told["days"]] == pytest.approx([1, 1, 1, 0.95])
    assert told["stability"] == 1
    assert told["kept"]["sparse"][0] == ["linear3d", "embed_fc", "pma"]
    assert "0.306 ± 0.005 *" in tool("aggregate_days", "runs/quickstart")[1]


def test_another_theta_keeps_other_modules(tool, tmp_path):
    out = tmp_path / "network.yaml"
    assert tool("export_architecture", "runs/quickstart", "--theta", "0.3", "--out", out)[0] == 0
    assert yaml.safe_load(out.read_text())["dense"] == [["identity"]] * 3
    status, _, err = tool("export_architecture", "runs/quickstart", "--out", out)
    assert (status, "is not overwritten" in err) == (2, True)
    status, _, err = tool("export_architecture", "runs/quickstart", "--theta", "1.5")
    assert (status, "must lie between 0 and 1" in err) == (2, True)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_results_are_collected_into_a_new_file(tool, tmp_path, ending):
    path = tmp_path / f"results.{ending}"
    assert tool("collect_results", "runs/quickstart", "--out", path)[0] == 0
    rows = list(csv.DictReader(path.open())) if ending == "csv" else pq.read_table(path).to_pylist()
    assert [row["model"] for row in rows] == ["DistDNAS (θ=0.2, M=1)", "DLRM"]
    assert float(rows[0]["auc"]) == 0.7112
    assert (float(rows[0]["theta"]), rows[1]["theta"]) == (0.2, "" if ending == "csv" else None)
    status, _, err = tool("collect_results", "runs/quickstart", "--out", path)
    assert (status, "is not overwritten" in err) == (2, True)


def test_a_figure_s_ending_says_how_it_is_drawn(tool, tmp_path):
    require(["libcairo2"], there=cairo_works)
    for ending, start in ((".svg", b"<svg"), (".png", b"\x89PNG"), (".pdf", b"%PDF")):
        path = tmp_path / f"figure{ending}"
        assert tool("plot_pareto", "runs/quickstart", "--out", path)[0] == 0
        assert path.read_bytes().startswith(start)
    ET.parse(tmp_path / "figure.svg")
    status, _, err = tool("plot_pareto", "runs/quickstart", "--out", tmp_path / "figure.jpeg")
    assert (status, ".svg, .png or .pdf" in err) == (2, True)
    status, _, err = tool("plot_pareto", "runs/quickstart", "--out", tmp_path / "nowhere/figure.svg")
    assert (status, "does not exist" in err) == (2, True)


def cairo_works() -> bool:
    try:
        import cairosvg  # noqa: F401
    except OSError:
        return False
    return True


def test_a_run_that_has_just_begun_has_nothing_to_draw(tool, tmp_path):
    run = SyntheticRun(tmp_path / "run").path
    for path in run.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    for name in ("aggregate_days", "plot_pareto", "plot_cost_importance", "plot_architecture", "plot_trajectory",
                 "plot_scaling", "plot_recurring", "export_architecture", "collect_results"):  # fmt: skip
        status, out, err = tool(name, run)
        assert (status, out) == (2, ""), name
        assert "distdnas status" in err


def test_a_study_stands_for_its_runs(tool, study):
    status, told, _ = tool("collect_results", study, "--json")
    assert status == 0
    rows = [(row["strategy"], row["seed"]) for row in json.loads(told) if row["model"] != "DLRM"]
    assert rows == [(name, seed) for name in ("distdnas", "one_shot", "supernet") for seed in (1, 2)]
    status, told, _ = tool("table2", study)
    assert status == 0
    assert [line.split()[0] for line in told.splitlines()[3:]] == [
        *["DistDNAS"] * 2,
        *["One-shot"] * 2,
        *["SuperNet"] * 2,
    ]


@pytest.mark.parametrize(
    ("name", "run", "sentence"),
    [
        ("aggregate_days", "one_shot_g0.004_s1", "searched days 1–4 in one task: there are no days to compare."),
        ("aggregate_days", "supernet_s1", "keeps the whole supernet; nothing was searched there."),
        ("export_architecture", "supernet_s1", "keeps the whole supernet; nothing was searched there."),
        ("plot_architecture", "supernet_s1", "keeps the whole supernet; nothing was searched there."),
    ],
)
def test_what_a_strategy_does_not_have_is_told(tool, study, name, run, sentence):
    assert tool(name, study / "study" / run) == (2, "", f"Error: {study / 'study' / run} {sentence}\n")


def test_the_search_of_all_days_in_one_task_has_a_trajectory_and_an_architecture(tool, study, tmp_path):
    run = study / "study/one_shot_g0.004_s1"
    for name in ("plot_trajectory", "plot_architecture"):
        assert tool(name, run, "--out", tmp_path / "figure.svg")[0] == 0
