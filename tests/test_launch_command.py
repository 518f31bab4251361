"""`distdnas launch`, `resubmit` and `cancel`, as far as they go without Slurm (tests/slurm has the rest)."""

import re
import shutil

import pytest

from distdnas_hpc import pipeline
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.storage import read_yaml, write_yaml
from tests.shrunk import SMALL_BATCHES, distdnas, findings, write_config


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_prints_the_plan_and_every_script_and_writes_nothing(tmp_path):
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters/ours.yaml").write_text("slurm: {partition: long, gres: 'gpu:a5000:1'}\n")
    config = write_config(tmp_path)
    before = files(tmp_path)
    told = distdnas("launch", config, "--dry-run", "--profile", "ours")
    assert told.returncode == 0, told.stderr
    assert re.findall(r"^### (.*)$", told.stdout, flags=re.MULTILINE)[:6] == [
        "parse: 4 tasks, day_01 to day_04", "merge: 1 task, all", "encode: 4 tasks, day_01 to day_04",
        "manifest: 1 task, all", "cost: 1 task, all", "search: 2 tasks, day_01 to day_02",
    ]  # fmt: skip
    assert told.stdout.count("#SBATCH --partition=long\n") == told.stdout.count("#!/bin/bash\n") == 9
    assert "#SBATCH --dependency='afterok:<manifest>,afterok:<cost>'" in told.stdout, "what the search waits for"
    assert "17 tasks in 9 jobs; nothing was submitted." in told.stderr
    assert files(tmp_path) == before


def test_a_dry_run_of_a_run_that_has_begun_plans_what_is_missing(unfinished):
    _, config = unfinished("search", "day_02")
    told = distdnas("launch", config, "--dry-run")
    assert re.findall(r"^### (.*)$", told.stdout, flags=re.MULTILINE) == ["search: 1 task, day_02"]


def test_launching_without_slurm_is_refused_with_a_sentence(tmp_path, monkeypatch):
    config = write_config(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    told = distdnas("launch", config)
    assert told.returncode == 2
    assert "There is no sbatch on this machine; run the command on a login node" in told.stderr


@pytest.mark.parametrize("command", ["resubmit", "cancel"])
def test_what_is_no_run_is_told_so(command, tmp_path):
    told = distdnas(command, tmp_path)
    assert told.returncode == 2
    assert f"{tmp_path} is not a run folder" in told.stderr


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--day", "9"], "has no day 9: it searches the days 1, 2."),
        (["--min-days", "3"], "--min-days 3 is more than the 2 days that are searched."),
    ],
)
def test_days_that_are_not_searched_are_refused(options, fault, finished_run):
    before = (finished_run / "config.yaml").read_bytes()
    told = distdnas("resubmit", finished_run, *options)
    assert told.returncode == 2
    assert fault in told.stderr
    assert (finished_run / "config.yaml").read_bytes() == before


def test_a_day_that_is_done_later_is_taken_into_the_results(finished_run, tmp_path):
    """The run had gone on without day 2, as min_days allows; the old results are kept."""
    config = write_config(tmp_path, **{**SMALL_BATCHES, "search": {"batch_size": 2, "min_days": 1}})
    run = RunFolder(shutil.copytree(finished_run, tmp_path / "run"))
    assert pipeline.outdated(run) == []
    shutil.rmtree(run.path / "search/day_02")
    aggregate = run.path / "aggregate/all/result.yaml"
    write_yaml(aggregate, {**read_yaml(aggregate), "days": [1]})
    assert pipeline.outdated(run) == []
    dlrm = (run.path / "train/dlrm/result.yaml").read_bytes()
    told = distdnas("run", config, "--cluster", "inline")
    assert told.returncode == 0, told.stderr
    assert "Some results lack a day or a model that is there" in told.stderr
    assert findings(run.path) == findings(finished_run)
    assert read_yaml(run.path / "superseded/01/aggregate/all/result.yaml")["days"] == [1]
    assert (run.path / "superseded/01/report.html").is_file()
    assert (run.path / "report.html").is_file()
    assert (run.path / "train/dlrm/result.yaml").read_bytes() == dlrm, "baselines don't depend on the search"
