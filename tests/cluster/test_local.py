"""The local executors: order, limit, failures, stopping and going on, with real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distdnas_hpc.cluster.local import run_inline, run_local
from distdnas_hpc.cluster.status import run_status
from distdnas_hpc.storage import read_yaml
from tests.cluster.small_stages import COMMAND, events, make_run, plan, stages_of, states

SEARCH = {"name": "search", "tasks": ["1", "2", "3"]}
AGGREGATE = {"name": "aggregate", "tasks": ["all"], "after": ["search"]}
TRAIN = {"name": "train", "tasks": ["all"], "after": ["aggregate"]}


def inline(run, workers=2):
    run_inline(run, stages_of(run))


def local(run, workers=2):
    run_local(run, stages_of(run), workers, threads=1, command=COMMAND)


def start_local(run, command=COMMAND, grace=30.0):
    """Start run_local with two workers in a process of its own, which can be sent signals."""
    code = f"""
from pathlib import Path
from tests.cluster.small_stages import stages_of
from distdnas_hpc.cluster import local
from distdnas_hpc.cluster.run_folder import RunFolder
run = RunFolder(Path({str(run.path)!r}))
local.GRACE = {grace}
local.run_local(run, stages_of(run), 2, 1, {command!r})
"""
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-c", code], cwd=root, stderr=subprocess.DEVNULL)


executors = pytest.mark.parametrize("go", [inline, local])


def wait_for(holds, seconds=20.0):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


@executors
def test_stages_run_in_order_whatever_the_order_of_the_list(go, tmp_path):
    run = make_run(tmp_path / "run", TRAIN, AGGREGATE, SEARCH)
    go(run)
    assert set(states(run).values()) == {"done"}
    told = events(run)
    assert set(told[:6]) == {f"{what} search/{task}" for what in ("start", "end") for task in "123"}
    assert told[6:] == ["start aggregate/all", "end aggregate/all", "start train/all", "end train/all"]


@executors
def test_a_failed_task_stops_what_waits_for_it_and_not_its_siblings(go, tmp_path):
    run = make_run(tmp_path / "run", SEARCH, AGGREGATE, TRAIN, do={"search/1": "fail"})
    go(run)
    assert list(states(run).values()) == ["failed", "done", "done", "pending", "pending"]


@executors
def test_a_second_command_runs_what_is_missing_and_nothing_else(go, tmp_path):
    run = make_run(tmp_path / "run", SEARCH, AGGREGATE, do={"search/1": "fail"})
    go(run)
    before = (run.task_folder("search", "2") / "result.yaml").stat().st_mtime_ns
    plan(run)
    go(run)
    assert set(states(run).values()) == {"done"}
    assert run.result("search", "1")["task"]["attempt"] == 2
    assert run.last_attempt("search", "2") == 1
    assert (run.task_folder("search", "2") / "result.yaml").stat().st_mtime_ns == before
    assert events(run).count("start search/2") == 1
    go(run)
    assert events(run).count("start aggregate/all") == 1


@executors
def test_attempts_keep_their_own_files(go, tmp_path):
    run = make_run(tmp_path / "run", SEARCH, do={"search/1": "fail"})
    go(run)
    first = (run.attempt_folder("search", "1", 1) / "log.txt").read_text()
    assert "ValueError: it is broken" in first
    go(run)
    assert (run.attempt_folder("search", "1", 1) / "log.txt").read_text() == first
    assert "attempt 2" in (run.attempt_folder("search", "1", 2) / "log.txt").read_text()


@executors
@pytest.mark.parametrize(("failing", "aggregated"), [(["1"], "done"), (["1", "2"], "pending")])
def test_enough_tasks_let_the_next_stage_start(go, failing, aggregated, tmp_path):
    do = {f"search/{task}": "fail" for task in failing}
    run = make_run(tmp_path / "run", {**SEARCH, "required": 2}, AGGREGATE, do=do)
    go(run)
    assert states(run)["aggregate/all"] == aggregated


def test_the_next_stage_waits_for_all_siblings_even_when_fewer_are_required(tmp_path):
    run = make_run(tmp_path / "run", {**SEARCH, "required": 1}, AGGREGATE)
    local(run, workers=3)
    assert events(run).index("start aggregate/all") == 6


@pytest.mark.parametrize("workers", [1, 2])
def test_at_most_so_many_at_a_time(workers, tmp_path):
    run = make_run(tmp_path / "run", {"name": "search", "tasks": [*"12345"]})
    local(run, workers)
    running, most = 0, 0
    for event in events(run):
        running += 1 if event.startswith("start") else -1
        most = max(most, running)
    assert most <= workers


def test_tasks_really_run_side_by_side(tmp_path):
    """Both hold until both have started."""
    run = make_run(
        tmp_path / "run", {"name": "search", "tasks": ["1", "2"]}, do={"search/1": "hold", "search/2": "hold"}
    )
    process = start_local(run)
    wait_for(lambda: len(events(run)) == 2)
    (run.path / "go").touch()
    assert process.wait(20) == 0
    assert set(states(run).values()) == {"done"}


def test_tasks_get_their_number_of_threads(tmp_path):
    run = make_run(tmp_path / "run", {"name": "search", "tasks": ["1"]})
    run_local(run, stages_of(run), workers=1, threads=3, command=COMMAND)
    assert run.result("search", "1")["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_sigterm_stops_the_tasks_in_order_and_the_run_goes_on_later(number, tmp_path):
    run = make_run(tmp_path / "run", SEARCH, AGGREGATE, do={"search/2": "hold"})
    process = start_local(run)
    wait_for(lambda: "start search/2" in events(run) and states(run)["search/3"] == "done")
    told = next(told for told in run_status(run, stages_of(run)) if told.task == "2")
    assert (told.state, told.fraction, told.rows, told.loss) == ("running", 0.5, 5, 0.7)
    process.send_signal(number)
    assert process.wait(20) != 0
    assert states(run) == {
        "search/1": "done",
        "search/2": "interrupted",
        "search/3": "done",
        "aggregate/all": "pending",
    }
    pid = read_yaml(run.attempt_folder("search", "2", 1) / "started.yaml")["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    (run.path / "go").touch()
    local(run)
    assert set(states(run).values()) == {"done"}


def test_a_task_that_died_without_a_word_is_lost_and_says_how(tmp_path):
    run = make_run(tmp_path / "run", SEARCH, AGGREGATE, do={"search/1": "die"})
    local(run)
    told = {f"{told.stage}/{told.task}": told for told in run_status(run, stages_of(run))}
    assert told["search/1"].state == "lost"
    assert "SIGKILL" in told["search/1"].reason
    assert told["search/2"].state == "done"
    assert told["aggregate/all"].state == "pending"


def test_a_process_that_never_gets_to_its_task_is_lost_and_names_what_it_printed(tmp_path):
    run = make_run(tmp_path / "run", {"name": "search", "tasks": ["1"]})
    run_local(run, stages_of(run), 1, 1, command=(sys.executable, "-c", "print('no such module'); raise SystemExit(3)"))
    (told,) = run_status(run, stages_of(run))
    assert told.state == "lost"
    assert "status 3" in told.reason
    assert Path(told.log).read_text() == "no such module\n"


def test_a_task_being_started_is_pending_and_in_hand(tmp_path):
    """Imports take seconds, and meanwhile a task is neither lost nor free for another command."""
    run = make_run(tmp_path / "run", {"name": "search", "tasks": ["1"]})
    slow = "import time; time.sleep(1.5); raise SystemExit(1)"
    told = []
    process = start_local(run, command=(sys.executable, "-c", slow))
    while process.poll() is None:
        told += run_status(run, stages_of(run))
        time.sleep(0.02)
    assert {each.state for each in told} <= {"pending", "lost"}
    starting = [each for each in told if each.reason == "starting"]
    assert starting and all(each.attempt == 1 for each in starting)
    assert run_status(run, stages_of(run))[0].state == "lost"


@pytest.mark.parametrize(("grace", "signals"), [(0.3, 1), (60, 2)])
def test_a_task_that_does_not_stop_is_killed_after_a_while_or_at_a_second_ctrl_c(grace, signals, tmp_path):
    run = make_run(tmp_path / "run", {"name": "search", "tasks": ["1"]})
    deaf = "import signal, sys, time, pathlib; signal.signal(15, signal.SIG_IGN);"
    deaf += "pathlib.Path(sys.argv[1], 'deaf').touch(); time.sleep(60)"
    process = start_local(run, command=(sys.executable, "-c", deaf), grace=grace)
    wait_for((run.path / "deaf").exists)
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    assert process.wait(20) != 0
    assert states(run) == {"search/1": "interrupted"}
