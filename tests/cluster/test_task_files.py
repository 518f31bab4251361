"""Status looks at few files: thousands of tasks may lie on NFS."""

import os
import sys
from pathlib import Path

import pytest

from distdnas_hpc.cluster.local import run_inline
from distdnas_hpc.cluster.status import run_status
from distdnas_hpc.cluster.task_files import newest_attempt
from tests.cluster.small_stages import make_run, stages_of

SEARCH = {"name": "search", "tasks": [str(n) for n in range(20)]}


@pytest.fixture(scope="module")
def looks():
    """Counts the files that are opened and the folders that are listed, everywhere in this process."""
    seen = []

    def hook(event, arguments):
        if event in ("open", "os.listdir", "os.scandir"):
            seen.append(str(arguments[0]))

    sys.addaudithook(hook)  # for good: hooks can't be removed
    return seen


def test_a_finished_task_costs_three_looks_and_one_that_was_never_begun_none(looks, tmp_path):
    run = make_run(tmp_path / "run", SEARCH, do={"search/7": "fail"})
    run_inline(run, stages_of(run)[:1])
    (run.path / "search/19").rename(tmp_path / "elsewhere")
    stages = stages_of(run)
    looks.clear()
    told = run_status(run, stages)
    of_task = {task: [path for path in looks if f"/search/{task}" in path] for task in SEARCH["tasks"]}
    assert [told[0].state, told[7].state, told[19].state] == ["done", "failed", "pending"]
    assert [Path(path).name for path in of_task["3"]] == ["3", "result.yaml", "progress.json"]
    assert len(of_task["7"]) <= 5  # two listings, started, progress, ended
    assert not of_task["19"]


def test_the_newest_attempt_is_the_one_that_counts_until_there_is_a_result(tmp_path):
    run = make_run(tmp_path / "run", SEARCH)
    assert newest_attempt(run, "search", "1") is None
    for number in range(1, 12):
        assert run.new_attempt("search", "1") == number
    assert newest_attempt(run, "search", "1").number == 11
    run_inline(run, stages_of(run))
    done = newest_attempt(run, "search", "1")
    assert (done.number, done.result["rows"]) == (12, 10)
    run.new_attempt("search", "1")  # a requeued twin
    assert newest_attempt(run, "search", "1").number == 12


def test_the_last_sign_is_the_newest_of_all_files(tmp_path):
    run = make_run(tmp_path / "run", SEARCH)
    folder = run.attempt_folder("search", "1", run.new_attempt("search", "1"))
    for name, when in (("started.yaml", 100), ("log.txt", 300), ("progress.json", 200)):
        (folder / name).write_text("{}")
        os.utime(folder / name, (0, when))
    assert newest_attempt(run, "search", "1").last_sign == 300
