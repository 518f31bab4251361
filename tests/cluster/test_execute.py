"""One task in this process: what it leaves on disk, however it ends."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import yaml

from distdnas_hpc.cluster import execute as execution
from distdnas_hpc.cluster.execute import Stopped, TaskError, execute, process_birth, stop_on_signals
from distdnas_hpc.cluster.status import run_status
from tests.cluster.small_stages import COMMAND, events, make_run, plan, stages_of, states

SEARCH = {"name": "search", "tasks": ["1"]}


def run_one(run, attempt=1):
    execute(run, stages_of(run)[0], "1", attempt)


def ended(run, attempt=1):
    return yaml.safe_load((run.attempt_folder("search", "1", attempt) / "ended.yaml").read_text())


def test_a_result_says_who_made_it(tmp_path):
    run = make_run(tmp_path / "run", SEARCH)
    run_one(run)
    result = run.result("search", "1")
    assert result["rows"] == 10
    assert set(result["task"]) == {"attempt", "host", "started", "finished", "seconds"}
    assert ended(run)["state"] == "done"
    (told,) = run_status(run, stages_of(run))
    assert (told.state, told.fraction, told.rows, told.loss, told.attempt) == ("done", 1.0, 10, 0.5, 1)


@pytest.mark.parametrize(
    ("what", "reason", "input_fault"),
    [
        ("fail", "ValueError: it is broken", False),
        ("complain", "day_1.tsv, line 3: 12 fields instead of 40; mend the line.", True),
        ("nonsense", "RepresenterError", False),  # a result that can't be written is a failure like any other
    ],
)
def test_a_failure_is_told_and_leaves_no_result(what, reason, input_fault, tmp_path):
    run = make_run(tmp_path / "run", SEARCH, do={"search/1": what})
    with pytest.raises(TaskError, match=reason.split(":")[0]):
        run_one(run)
    assert not run.is_done("search", "1")
    kept = {run.attempt_folder("search", "1", 1), run.task_folder("search", "1") / "checkpoints"}
    assert set(run.task_folder("search", "1").iterdir()) == kept
    (told,) = run_status(run, stages_of(run))
    assert told.state == "failed"
    assert told.reason.startswith(reason)
    assert told.input_fault is input_fault


def test_a_loss_that_diverges_is_no_failure_but_a_state_of_its_own(tmp_path):
    run = make_run(tmp_path / "run", SEARCH, do={"search/1": "diverge"})
    with pytest.raises(TaskError):
        run_one(run)
    assert (ended(run)["state"], ended(run)["reason"]) == ("diverged", "LogLoss diverged at step 7")
    (told,) = run_status(run, stages_of(run))
    assert (told.state, told.reason, told.input_fault) == ("diverged", "LogLoss diverged at step 7", False)
    assert "Traceback" not in (run.attempt_folder("search", "1", 1) / "log.txt").read_text()


@pytest.mark.parametrize("how", ["fail", "diverge", ""])
def test_checkpoints_stay_until_the_result_is_there(how, tmp_path):
    run = make_run(tmp_path / "run", SEARCH, do={"search/1": how})
    checkpoints = run.task_folder("search", "1") / "checkpoints"
    if how:
        with pytest.raises(TaskError):
            run_one(run)
        assert list(checkpoints.iterdir())
        plan(run)
        run_one(run)
    else:
        run_one(run)
    assert not checkpoints.exists()


def test_checkpoints_that_outlived_their_result_are_removed_by_a_requeued_job(tmp_path):
    run = make_run(tmp_path / "run", SEARCH)
    run_one(run)
    (run.task_folder("search", "1") / "checkpoints").mkdir()
    run_one(run)
    assert not (run.task_folder("search", "1") / "checkpoints").exists()


def test_a_programming_error_has_its_traceback_in_the_log_and_a_users_error_has_none(tmp_path):
    for what, traceback in (("fail", True), ("complain", False)):
        run = make_run(tmp_path / what, SEARCH, do={"search/1": what})
        with pytest.raises(TaskError):
            run_one(run)
        log = (run.attempt_folder("search", "1", 1) / "log.txt").read_text()
        assert ("Traceback" in log) is traceback


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGUSR2, "time limit"), (signal.SIGINT, "Ctrl-C")]
)
def test_a_task_that_is_told_to_stop_says_so(number, reason, tmp_path):
    run = make_run(tmp_path / "run", SEARCH, do={"search/1": "hold"})
    process = subprocess.Popen([*COMMAND, str(run.path), "search", "1", "--attempt", "1"])
    while not events(run):
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait(20) == 1
    assert ended(run)["state"] == "interrupted"
    assert reason in ended(run)["reason"]
    assert not run.is_done("search", "1")


def test_signals_are_ignored_while_the_first_one_ends_what_runs():
    ended = False
    with pytest.raises(Stopped, match="SIGTERM"), stop_on_signals():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGUSR2)
            ended = True
    assert ended


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_that_python_lost_is_raised_again():
    """A finalizer runs when the last reference goes; what is raised in it goes nowhere."""

    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    reached = False
    with pytest.raises(Stopped, match="SIGTERM"), stop_on_signals():
        thing = Finalized()
        del thing
        reached = True
        threading.Event().wait(60)
    assert reached


def test_an_end_in_order_may_take_long(monkeypatch):
    monkeypatch.setattr(execution, "RAISED_AGAIN", 0.01)
    ended = False
    with pytest.raises(OSError, match="while it ends"), stop_on_signals():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Stopped:
            try:
                raise OSError("while it ends")
            finally:
                time.sleep(0.1)
                ended = True
    assert ended
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_signals_mean_what_they_meant_before_when_the_task_has_ended(tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR2)
    run_one(make_run(tmp_path / "run", SEARCH))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR2)) == before


def test_a_requeued_job_does_not_repeat_what_is_done(tmp_path):
    run = make_run(tmp_path / "run", SEARCH)
    run_one(run)
    run_one(run)
    assert events(run) == ["start search/1", "end search/1"]


def test_a_requeued_job_makes_a_new_attempt(tmp_path):
    run = make_run(tmp_path / "run", SEARCH, do={"search/1": "fail"})
    with pytest.raises(TaskError):
        run_one(run)
    plan(run)
    run_one(run, attempt=1)
    assert run.result("search", "1")["task"]["attempt"] == 2
    assert (ended(run, 1)["state"], ended(run, 2)["state"]) == ("failed", "done")
    assert states(run) == {"search/1": "done"}


def test_the_birth_of_a_process_tells_it_from_a_later_one_with_its_pid():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born = process_birth(process.pid)
    assert int(born) >= int(process_birth(os.getpid()))
    assert process_birth(process.pid) == born
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_birth(process.pid) == ""  # a zombie
    process.wait()
    assert process_birth(process.pid) == ""


def test_the_result_of_a_quicker_twin_stays(tmp_path):
    run = make_run(tmp_path / "run", SEARCH, do={"search/1": "hold"})
    slow = subprocess.Popen([*COMMAND, str(run.path), "search", "1", "--attempt", "1"])
    while not events(run):
        assert slow.poll() is None
    plan(run)
    run_one(run, attempt=2)
    result = run.result("search", "1")
    (run.path / "go").touch()
    assert slow.wait(20) == 0
    assert run.result("search", "1") == result
    assert result["task"]["attempt"] == 2
    assert ended(run, 1)["state"] == ended(run, 2)["state"] == "done"


def test_a_job_that_slurm_begins_too_often_ends_with_a_word(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", SEARCH, cluster={"slurm": {"max_attempts": 3}})
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "3")
    with pytest.raises(TaskError, match=r"began 4 times, and cluster.slurm.max_attempts allows 3"):
        run_one(run)
    assert events(run) == []
    assert ended(run)["state"] == "failed"
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    run_one(run, attempt=2)
    assert run.is_done("search", "1")


@pytest.mark.parametrize(
    ("restarts", "reason"),
    [
        ("2", "all that cluster.slurm.max_attempts allows; raise cluster.slurm.time_minutes"),
        ("1", "would not queue it"),
    ],
)
def test_a_job_near_its_time_limit_that_is_not_queued_again_says_why(restarts, reason, tmp_path):
    run = make_run(tmp_path / "run", SEARCH, do={"search/1": "hold"}, cluster={"slurm": {"max_attempts": 3}})
    nobody = {"PATH": str(tmp_path), "SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": restarts}
    process = subprocess.Popen([*COMMAND, str(run.path), "search", "1", "--attempt", "1"], env={**os.environ, **nobody})
    while not events(run):
        assert process.poll() is None
    process.send_signal(signal.SIGUSR2)
    assert process.wait(20) == 1
    assert reason in ended(run)["reason"]


def test_a_silent_task_gives_signs_of_life(tmp_path, monkeypatch):
    """One that waits long for its file system must not be taken for dead."""
    monkeypatch.setattr("distdnas_hpc.cluster.execute.HEARTBEAT", 0.01)
    run = make_run(tmp_path / "run", SEARCH)
    started = run.attempt_folder("search", "1", 1) / "started.yaml"

    def silent(work):
        os.utime(started, (0, 0))
        while started.stat().st_mtime == 0:
            time.sleep(0.01)
        return {}

    execute(run, dataclasses.replace(stages_of(run)[0], function=silent), "1", 1)
    assert run.is_done("search", "1")
