"""The log of a task: which one is meant, what there is to read, and following it."""

import threading

import pytest

from distdnas_hpc.cluster.local import run_inline
from distdnas_hpc.cluster.logs import find_task, follow, log_files
from distdnas_hpc.errors import UserError
from tests.cluster.small_stages import make_run, stages_of, start_task, wait_until

SEARCH = {"name": "search", "tasks": ["day_01", "day_02"]}
REPORT = {"name": "report", "tasks": ["all"]}


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", SEARCH, REPORT, do={"search/day_01": "hold"})


@pytest.mark.parametrize(
    ("stage", "task", "found"),
    [(None, "day_02", ("search", "day_02")), ("report", None, ("report", "all")), ("report", "all", ("report", "all"))],
)
def test_a_task_is_found_by_what_makes_it_one(stage, task, found, run):
    chosen, name = find_task(stages_of(run), stage, task)
    assert (chosen.name, name) == found


@pytest.mark.parametrize(
    ("stage", "task", "sentence"),
    [
        (None, None, "Say which log: --day 7"),
        ("serch", None, "no stage 'serch'; its stages are search, report"),
        ("search", None, "'search' has 2 tasks; name one with --day or --task: day_01, day_02"),
        (None, "day_99", "'search' has no task 'day_99'"),
    ],
)
def test_what_is_not_one_task_is_told_in_a_sentence(stage, task, sentence, run):
    with pytest.raises(UserError, match=sentence):
        find_task(stages_of(run), stage, task)


def test_a_log_and_what_was_printed_are_read_in_this_order(run):
    run_inline(run, stages_of(run)[1:])
    assert [path.name for path in log_files(run, "report", "all", 1)] == ["log.txt"]
    folder = run.attempt_folder("report", "all", 1)
    (folder / "output.txt").write_text("Segmentation fault")
    assert [path.name for path in log_files(run, "report", "all", 1)] == ["log.txt", "output.txt"]
    assert log_files(run, "report", "all", 2) == []


def test_what_a_job_printed_is_read_too(run):
    attempt = run.new_attempt("search", "day_01")
    event = {"event": "submitted", "stage": "search", "tasks": ["day_01"], "attempts": [attempt], "jobs": ["7_0"]}
    run.record(event)
    (run.path / "slurm").mkdir()
    (run.path / "slurm/7_0_0_log.err").write_text("python: not found")
    assert [path.name for path in log_files(run, "search", "day_01", 1)] == ["7_0_0_log.err"]


def test_a_log_is_followed_until_its_task_ends(run):
    search = stages_of(run)[0]
    process = start_task(run, "search", "day_01")
    text = []
    following = threading.Thread(target=lambda: text.extend(follow(run, search, "day_01", lambda: None, 0.1)))
    following.start()
    wait_until(lambda: "search/day_01, attempt 1, starts" in "".join(text))
    (run.path / "go").touch()
    following.join(60)
    assert process.wait(60) == 0
    assert "".join(text) == (run.attempt_folder("search", "day_01", 1) / "log.txt").read_text()
    assert "search/day_01 done in" in "".join(text)


def test_following_what_nobody_does_ends_at_once(run):
    assert list(follow(run, stages_of(run)[0], "day_01", lambda: None, 0.1)) == []
