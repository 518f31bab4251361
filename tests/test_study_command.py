"""`distdnas study`: every strategy on data prepared once, a table of what converged, going on where it was."""

import json
import re

import pytest
import yaml

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.config import load_config
from distdnas_hpc.storage import read_yaml
from distdnas_hpc.study import variants
from tests.shrunk import ROOT, distdnas, write_config

RUN = "runs/study_quickstart"
STUDY = {"strategies": ["distdnas", "distributed", "one_shot", "fresh", "supernet"], "seeds": [1]}
QUICK = {
    "data": {"rows_per_day": 200},
    "search": {"theta": [0.2, 0.25]},
    "train": {"batch_size": 64},
    "cluster": {"executor": "inline"},
}
COMMANDS = [
    line.partition("#")[0].split()
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / "docs/study.md").read_text(), re.S)
    for line in block.splitlines()
]


def with_study(path, **study):
    tree = yaml.safe_load(path.read_text())
    tree["study"] = study
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """A working directory in which the commands of docs/study.md ran, on a shrunk study; and the rows that one told."""
    folder = tmp_path_factory.mktemp("study")
    config = with_study(write_config(folder, **QUICK), **STUDY)
    (folder / "configs").mkdir()
    (folder / "runs").mkdir()
    tree = yaml.safe_load(config.read_text()) | {"run": "runs/study_quickstart"}
    (folder / "configs/study_quickstart.yaml").write_text(yaml.safe_dump(tree))
    told = [distdnas(*command[1:], cwd=folder) for command in COMMANDS]
    for command, answer in zip(COMMANDS, told):
        assert answer.returncode == 0, f"{' '.join(command)}: {answer.stderr}"
    return folder, json.loads(told[1].stdout)


def test_the_page_has_commands():
    assert [command[1] for command in COMMANDS] == ["study", "study", "status", "status", "aggregate", "aggregate"]


def test_the_quickstarts_study_is_what_the_page_says():
    study = list(variants(load_config(ROOT / "configs/study_quickstart.yaml")))
    assert [variant.name for variant in study] == [
        f"{name}_s{seed}"
        for name in ("distdnas_g0.004", "distributed", "one_shot_g0.004", "fresh_g0.004", "supernet")
        for seed in (1, 2)
    ]
    assert {variant.config.prepared for variant in study} == {study[0].config.run.parent.parent}


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
    made = {path.parent.parent.relative_to(folder / RUN) for path in (folder / RUN).rglob("manifest.yaml")}
    assert [str(path) for path in made] == ["."]
    assert len(list((folder / RUN).rglob("cost/all/result.yaml"))) == 1
    assert not list((folder / "run/study").rglob("*.h5"))


def test_a_second_command_does_nothing_and_shows_the_table(studied):
    folder, _ = studied
    before = {path: path.stat().st_mtime_ns for path in (folder / RUN).rglob("result.yaml")}
    told = distdnas("study", "configs/study_quickstart.yaml", cwd=folder)
    assert told.returncode == 0, told.stderr
    assert {path: path.stat().st_mtime_ns for path in (folder / RUN).rglob("result.yaml")} == before
    page = (folder / RUN / "study/report.html").read_text()
    for title in ("DistDNAS", "Distributed DNAS", "One-shot DNAS", "Freshness DNAS", "SuperNet"):
        assert title in told.stdout
        assert title in page
    assert f"Report: {folder / RUN / 'study/report.html'}" in told.stdout


def test_every_run_has_a_report_and_the_studys_page_links_to_it(studied):
    folder, rows = studied
    page = (folder / RUN / "study/report.html").read_text()
    for name in {folder.__class__(row["run"]).name for row in rows}:
        assert (folder / RUN / "study" / name / "report.html").is_file()
        assert f'href="{name}/report.html"' in page


def test_status_of_a_study_is_that_of_its_runs(studied):
    folder, _ = studied
    told = distdnas("status", RUN, "--json", cwd=folder)
    assert told.returncode == 0, told.stderr
    tasks = [f"{task['stage']}/{task['task']}" for task in json.loads(told.stdout) if task["state"] == "done"]
    assert {"cost/all", "study/one_shot_g0.004_s1/search/all", "study/supernet_s1/report/all"} <= set(tasks)
    shown = distdnas("status", RUN, cwd=folder)
    assert re.search(r"^one_shot_g0.004_s1 .* done +5 tasks", shown.stdout, re.MULTILINE), "a line a run"
    assert f"report: {folder / RUN / 'study/report.html'}" in shown.stdout
    log = distdnas("logs", RUN, "--stage", "study/one_shot_g0.004_s1/search", cwd=folder)
    assert "search/all, attempt 1, starts" in log.stdout


def test_a_study_goes_on_with_what_is_missing(studied):
    folder, rows = studied
    (folder / RUN / "study/fresh_g0.004_s1/train/distdnas_t0.25_m1/result.yaml").unlink()
    before = (folder / RUN / "study/fresh_g0.004_s1/search/day_02/result.yaml").stat().st_mtime_ns
    told = distdnas("study", "configs/study_quickstart.yaml", "--json", cwd=folder)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == rows
    assert (folder / RUN / "study/fresh_g0.004_s1/search/day_02/result.yaml").stat().st_mtime_ns == before


def test_what_diverges_is_a_finding_that_is_not_tried_again(tmp_path):
    config = with_study(
        write_config(tmp_path, **QUICK | {"search": {}}, optimizer={"dense_lr": 1e4}),
        strategies=["distdnas", "supernet"],
    )
    for _ in range(2):
        told = distdnas("study", config, "--cluster", "inline", "--json")
        assert told.returncode == 0, told.stderr
        first, second = json.loads(told.stdout)
        assert (first["search"], first["training"], first["ne"]) == ("diverged", "n/a", None)
        assert (second["search"], second["training"]) == ("n/a", "diverged")
    attempts = (tmp_path / "run/study/distdnas_g0.004_s1/search/day_01").glob("attempt_*")
    assert len(list(attempts)) == 1


def test_shards_of_another_config_are_refused(studied, tmp_path):
    folder, _ = studied
    tree = yaml.safe_load((folder / "configs/study_quickstart.yaml").read_text())
    tree |= {
        "study": None,
        "prepared": str(folder / RUN),
        "run": str(tmp_path / "run"),
        "train": {"days": "1-2", "test_day": 4},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    told = distdnas("run", tmp_path / "config.yaml")
    assert told.returncode == 2
    assert f"'prepared' names {folder / RUN}, whose config differs in train.days; name a run that agrees" in told.stderr
    assert not (tmp_path / "run").exists()


def test_a_config_without_a_study_is_told_so(tmp_path):
    told = distdnas("study", write_config(tmp_path))
    assert told.returncode == 2
    assert "The config has no 'study'; add that section, as in configs/study_quickstart.yaml." in told.stderr
