"""`distdnas study`: every strategy on data prepared once, a table of what converged, going on where it was."""

import json
import shutil

import pytest
import yaml

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.storage import read_yaml
from tests.shrunk import distdnas, write_config

STUDY = {"strategies": ["distdnas", "distributed", "one_shot", "fresh", "supernet"]}


def with_study(path, **study):
    tree = yaml.safe_load(path.read_text())
    tree["study"] = study
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """The folder of a finished study: all strategies, two θ; and its rows."""
    folder = tmp_path_factory.mktemp("study")
    config = with_study(write_config(folder, search={"theta": [0.2, 0.25]}), **STUDY)
    told = distdnas("study", config, "--cluster", "inline", "--json")
    assert told.returncode == 0, told.stderr
    return folder, json.loads(told.stdout)


def test_a_row_for_each_strategy_and_theta(studied):
    _, rows = studied
    assert [(row["strategy"], row["gamma"], row["theta"]) for row in rows] == [
        *(("distdnas", 0.004, theta) for theta in (0.2, 0.25)),
        *(("distributed", None, theta) for theta in (0.2, 0.25)),
        *(("one_shot", 0.004, theta) for theta in (0.2, 0.25)),
        *(("fresh", 0.004, theta) for theta in (0.2, 0.25)),
        ("supernet", None, None),
    ]
    for row in rows:
        assert row["training"] == ("yes" if row["ne"] < 1 else "no")
        assert row["search"] in (("n/a",) if row["strategy"] == "supernet" else ("yes", "no"))


def test_each_strategy_is_what_its_name_says(studied):
    folder, rows = studied
    runs = {row["strategy"]: RunFolder(folder.__class__(row["run"])) for row in rows}
    assert runs["distributed"].config.search.gamma == 0
    searched = {
        name: sorted(path.parent.name for path in run.path.glob("search/*/result.yaml")) for name, run in runs.items()
    }
    assert searched == {
        "distdnas": ["day_01", "day_02"], "distributed": ["day_01", "day_02"], "one_shot": ["all"],
        "fresh": ["day_02"], "supernet": [],
    }  # fmt: skip
    assert runs["one_shot"].result("search", "all")["rows"] == sum(
        runs["distdnas"].result("search", day)["rows"] for day in ("day_01", "day_02")
    )
    same = [read_yaml(runs[name].path / "search/day_02/architecture.yaml")["alpha"] for name in ("distdnas", "fresh")]
    assert same[0] == same[1]
    full = read_yaml(runs["supernet"].path / "aggregate/all/architecture_t0.2.yaml")
    assert all(len(kept) == 5 for side in ("dense", "sparse") for kept in full[side])
    macs = {row["strategy"]: row["macs"] for row in rows}
    assert macs["supernet"] >= max(macs.values())


def test_data_and_cost_importance_are_made_once(studied):
    folder, _ = studied
    made = {path.parent.parent.relative_to(folder / "run") for path in (folder / "run").rglob("manifest.yaml")}
    assert [str(path) for path in made] == ["."]
    assert len(list((folder / "run").rglob("cost/all/result.yaml"))) == 1
    assert not list((folder / "run/study").rglob("*.h5"))


def test_a_second_command_does_nothing_and_shows_the_table(studied):
    folder, _ = studied
    before = {path: path.stat().st_mtime_ns for path in (folder / "run").rglob("result.yaml")}
    told = distdnas("study", folder / "config.yaml", "--cluster", "inline")
    assert told.returncode == 0, told.stderr
    assert {path: path.stat().st_mtime_ns for path in (folder / "run").rglob("result.yaml")} == before
    for title in ("DistDNAS", "Distributed DNAS", "One-shot DNAS", "Freshness DNAS", "SuperNet"):
        assert title in told.stdout


def test_a_study_goes_on_with_what_is_missing_and_a_search_that_diverged_is_a_finding(studied, tmp_path):
    folder, _ = studied
    run = shutil.copytree(folder / "run", tmp_path / "run")
    shutil.rmtree(run / "study")
    config = with_study(
        write_config(tmp_path, optimizer={"divergence": 1.0001}), strategies=["distdnas", "supernet"], seeds=[1]
    )
    shutil.rmtree(run / "search", ignore_errors=True)
    tree = read_yaml(run / "config.yaml")
    tree["optimizer"]["divergence"], tree["search"]["theta"] = 1.0001, [0.2]
    (run / "config.yaml").write_text(yaml.safe_dump(tree))
    told = distdnas("study", config, "--cluster", "inline", "--json")
    assert told.returncode == 0, told.stderr
    first, second = json.loads(told.stdout)
    assert (first["search"], first["training"], first["ne"]) == ("diverged", "n/a", None)
    assert (second["search"], second["training"]) == ("n/a", "diverged")


def test_a_config_without_a_study_is_told_so(tmp_path):
    told = distdnas("study", write_config(tmp_path))
    assert told.returncode == 2
    assert "The config has no 'study'; add that section, as in configs/study_quickstart.yaml." in told.stderr
