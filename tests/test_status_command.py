"""`distdnas status` and `distdnas logs`, on a run whose tasks' files are put there by hand."""

import json
import os
import re
import signal

import pytest

from distdnas_hpc.cluster.execute import end_attempt, process_record
from distdnas_hpc.cluster.run_folder import now
from distdnas_hpc.storage import write_yaml
from tests.cluster.small_stages import make_run
from tests.shrunk import distdnas, start


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Day 1's search runs (in this process, they say), day 2's failed; there is no Slurm."""
    monkeypatch.setenv("PATH", "/nowhere")
    run = make_run(tmp_path / "run")
    for task, loss in (("day_01", 0.5), ("day_02", 0.6)):
        folder = run.attempt_folder("search", task, run.new_attempt("search", task))
        write_yaml(folder / "started.yaml", {**process_record(os.getpid()), "time": now()})
        (folder / "progress.json").write_text(json.dumps({"fraction": 0.5, "loss": loss, "memory_bytes": 10**9}))
        (folder / "log.txt").write_text(f"what day {task[-1]} says\n")
    end_attempt(folder, "failed", "ValueError: it broke")
    return run


def test_without_slurm_the_files_tell_what_they_know(run):
    told = distdnas("status", run.path)
    assert told.returncode == 1, "a task failed"
    lines = [line.split() for line in told.stdout.splitlines() if "day_01" in line]
    assert [word for word in lines[0] if word[0].isalpha()][:2] == ["search/day_01", "running"]
    assert "search/day_02: ValueError: it broke" in told.stdout
    assert f"its log: {run.attempt_folder('search', 'day_02', 1)}/log.txt" in told.stdout
    assert " tasks done" in told.stdout.splitlines()[-1]
    by_name = {f"{each['stage']}/{each['task']}": each for each in json.loads(status_json(run))}
    assert by_name["search/day_01"]["memory_bytes"] == 10**9
    assert by_name["search/day_02"]["state"] == "failed"


def test_a_final_training_that_diverged_is_named_and_no_failure(tmp_path, monkeypatch):
    """Its result says so; the same state of a search, which has none, is a failure."""
    monkeypatch.setenv("PATH", "/nowhere")
    run = make_run(tmp_path / "run")
    task = {"attempt": 1, "host": "here", "started": now(), "finished": now(), "seconds": 2.0}
    reason = "LogLoss diverged at step 7 (day 1): loss is nan"
    for stage, name, found in (("train", "dlrm", {"state": "diverged", "reason": reason}), ("search", "day_01", {})):
        run.attempt_folder(stage, name, run.new_attempt(stage, name))
        write_yaml(run.task_folder(stage, name) / "result.yaml", {**found, "task": task})
    told = distdnas("status", run.path)
    assert told.returncode == 0, told.stderr
    assert re.search(r"train/dlrm .* diverged", told.stdout)
    assert f"train/dlrm: {reason}" in told.stdout
    assert re.search(r"search/day_01 .* done", told.stdout)


def status_json(run) -> str:
    return distdnas("status", run.path, "--json").stdout


def test_watching_goes_on_until_ctrl_c_which_stops_nothing(run):
    process = start("status", run.path, "--watch")
    assert "search/day_01 running" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Stopped looking; the run goes on." in err


def test_logs_prints_the_log_that_is_meant(run):
    assert distdnas("logs", run.path, "--day", 2).stdout == "what day 2 says\n"
    run.new_attempt("search", "day_02")
    told = distdnas("logs", run.path, "--stage", "search", "--task", "day_02", "--attempt", 1)
    assert told.stdout == "what day 2 says\n"
    assert str(run.attempt_folder("search", "day_02", 1) / "log.txt") in told.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "Say which log: --day 7"),
        (["--stage", "aggregate"], "There is no log of aggregate/all in"),
        (["--day", 1, "--attempt", 5], "attempt 5 of 1 left no log"),
        (["--day", 1, "--task", "day_01"], "Give --day or --task, not both"),
    ],
)
def test_logs_that_are_not_there_are_told_in_a_sentence(options, sentence, run):
    told = distdnas("logs", run.path, *options)
    assert (told.returncode, told.stdout) == (2, "")
    assert sentence in told.stderr
