"""Status from files that are put there by hand: what a look at the run says of each situation."""

import json
import os
import socket
import time

import pytest

from distdnas_hpc.cluster.execute import end_attempt, process_record
from distdnas_hpc.cluster.queue import queue
from distdnas_hpc.cluster.run_folder import now
from distdnas_hpc.cluster.status import SILENCE, run_status
from distdnas_hpc.storage import write_text, write_yaml
from tests.cluster.small_stages import make_run, stages_of

SEARCH = {"name": "search", "tasks": ["1"]}
AGGREGATE = {"name": "aggregate", "tasks": ["all"], "after": ["search"]}


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", SEARCH, AGGREGATE)


@pytest.fixture(autouse=True)
def slurm_says(monkeypatch, tmp_path):
    """A squeue and a sacct that remember what the test says: how a job ends can't be had at will from a real one."""
    said = tmp_path / "said"
    said.touch()
    for command in ("squeue", "sacct"):
        script = tmp_path / "bin" / command
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\nexec cat {said}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr("distdnas_hpc.cluster.ended_jobs._known", {})
    return lambda job, state: said.write_text(f"{job}|{state}\n")


@pytest.fixture
def squeue_and_sacct(monkeypatch, tmp_path):
    """Lets each say lines of its own, and counts how often it was asked."""

    def say(squeue, sacct=""):
        for command, text in (("squeue", squeue), ("sacct", sacct)):
            (tmp_path / f"{command}.txt").write_text(text)
            script = f"#!/bin/sh\necho {command} >> {tmp_path}/asked\nexec cat {tmp_path}/{command}.txt\n"
            (tmp_path / "bin" / command).write_text(script)
        (tmp_path / "asked").write_text("")

    say.asked = lambda: sorted((tmp_path / "asked").read_text().split())
    return say


def look(run, alive=None, task="1"):
    return next(told for told in run_status(run, stages_of(run), alive) if told.task == task)


def start(run, **changes):
    """Claim an attempt and say that this process works on it."""
    folder = run.attempt_folder("search", "1", run.new_attempt("search", "1"))
    write_yaml(folder / "started.yaml", {**process_record(os.getpid()), "time": now(), **changes})
    return folder


def submit(run, stage="search", task="1", job="7"):
    attempt = run.new_attempt(stage, task)
    run.record({"event": "submitted", "stage": stage, "tasks": [task], "attempts": [attempt], "jobs": [job]})
    return run.attempt_folder(stage, task, attempt)


def test_a_task_that_nobody_touched_is_pending(run):
    told = look(run)
    assert (told.state, told.attempt, told.fraction, told.reason) == ("pending", 0, 0.0, "")


def test_a_claim_that_came_to_nothing_leaves_the_task_pending(run):
    run.new_attempt("search", "1")
    assert (look(run).state, look(run).attempt) == ("pending", 0)


def test_a_running_task_shows_its_progress(run):
    folder = start(run)
    progress = {"fraction": 0.25, "rows": 100, "rows_per_second": 50.0, "loss": 0.6, "eta_seconds": 6.0}
    progress["memory_bytes"] = 10**9
    write_text(folder / "progress.json", json.dumps(progress))
    told = look(run)
    assert (told.state, told.attempt, told.host) == ("running", 1, socket.gethostname())
    assert (told.fraction, told.rows, told.rows_per_second, told.loss, told.eta_seconds) == (0.25, 100, 50, 0.6, 6)
    assert told.memory_bytes == 10**9
    assert 0 <= told.seconds < 60


def test_a_task_whose_process_is_gone_is_lost(run):
    start(run, pid=2**22 + 1)
    told = look(run)
    assert told.state == "lost"
    assert "died without a word" in told.reason
    assert told.eta_seconds is None


def test_a_task_whose_pid_now_belongs_to_another_process_is_lost(run):
    start(run, born="1")
    assert look(run).state == "lost"


@pytest.mark.parametrize(("silence", "state"), [(SILENCE / 2, "running"), (SILENCE * 2, "lost")])
def test_a_task_on_another_host_lives_while_it_gives_signs(silence, state, run):
    folder = start(run, host="elsewhere")
    os.utime(folder / "started.yaml", (0, time.time() - 1000))
    write_text(folder / "progress.json", "{}")
    os.utime(folder / "progress.json", (0, time.time() - silence))
    assert look(run).state == state


@pytest.mark.parametrize("state", ["failed", "diverged", "interrupted", "lost"])
def test_how_an_attempt_ended_is_told_until_the_next_one(state, run):
    end_attempt(start(run), state, "because", input_fault=state == "failed")
    told = look(run)
    assert (told.state, told.reason, told.attempt, told.input_fault) == (state, "because", 1, state == "failed")
    start(run)
    assert (look(run).state, look(run).attempt, look(run).reason) == ("running", 2, "")


@pytest.mark.parametrize("alive", [{"7"}, None])
def test_a_queued_job_is_pending_and_in_hand(alive, run):
    submit(run)
    told = look(run, alive)
    assert (told.state, told.attempt, told.job, told.reason) == ("pending", 1, "7", "queued as job 7")


def test_slurm_knows_better_than_silence_whether_a_job_lives(run):
    folder = submit(run)
    write_yaml(folder / "started.yaml", {"host": "n1", "pid": 1, "born": "", "time": now()})
    os.utime(folder / "started.yaml", (0, 0))
    assert look(run, {"7"}).state == "running"
    assert look(run, set()).state == "lost"
    assert look(run, None).state == "lost"


@pytest.mark.parametrize(
    ("slurm", "state", "reason"),
    [
        ("OUT_OF_MEMORY", "out of memory", "Slurm says OUT_OF_MEMORY: raise cluster.slurm.mem_gb"),
        ("TIMEOUT", "timed out", "raise cluster.slurm.time_minutes"),
        ("NODE_FAIL", "lost", "Slurm says NODE_FAIL"),
        ("FAILED", "lost", "Slurm says FAILED"),
        ("CANCELLED by 1000", "interrupted", "Slurm says CANCELLED"),
        ("PREEMPTED", "preempted", "Slurm says PREEMPTED"),
        ("RUNNING", "lost", "died without a word"),  # the accounting lags behind
    ],
)
def test_what_slurm_knows_of_a_job_that_left_no_word(slurm, state, reason, run, slurm_says):
    folder = submit(run)
    write_yaml(folder / "started.yaml", {"host": "n1", "pid": 1, "born": "", "time": now()})
    slurm_says("7", slurm)
    told = look(run, set())
    assert told.state == state
    assert reason in told.reason


def test_slurm_is_asked_once_for_all_jobs(tmp_path, squeue_and_sacct):
    names = [str(n) for n in range(6)]
    run = make_run(tmp_path / "many", {"name": "search", "tasks": names})
    attempts = [run.new_attempt("search", name) for name in names]
    jobs = [f"7_{name}" for name in names]
    run.record({"event": "submitted", "stage": "search", "tasks": names, "attempts": attempts, "jobs": jobs})
    for name in "0345":
        started = {"host": "n1", "pid": 1, "born": "", "time": now()}
        write_yaml(run.attempt_folder("search", name, 1) / "started.yaml", started)
    squeue = "7_0|RUNNING|None\n7_1|PENDING|Priority\n7_2|PENDING|None\n7_3|FAILED|None\n8|PENDING|Resources\n"
    squeue_and_sacct(squeue, "7_3|RUNNING\n7_4|OUT_OF_MEMORY\n7_5|TIMEOUT\n")
    told = run_status(run, stages_of(run), queue(run))
    assert [each.state for each in told] == ["running", "pending", "pending", "lost", "out of memory", "timed out"]
    assert told[1].reason == "queued as job 7_1 (Priority)"
    assert told[2].reason == "queued as job 7_2"
    assert told[3].reason.endswith("Slurm says FAILED")
    assert squeue_and_sacct.asked() == ["sacct", "squeue"]


def test_a_job_that_is_queued_again_has_no_end_any_more(run, squeue_and_sacct):
    folder = submit(run)
    write_yaml(folder / "started.yaml", {"host": "n1", "pid": 1, "born": "", "time": now()})
    squeue_and_sacct("7|PREEMPTED|None\n")
    assert look(run, queue(run)).state == "preempted"
    squeue_and_sacct("7|PENDING|BeginTime\n")
    assert look(run, queue(run)).state == "running", "Slurm has it in hand, and its last word was that it runs"
    squeue_and_sacct("7|OUT_OF_MEMORY|None\n")
    assert look(run, queue(run)).state == "out of memory"


@pytest.mark.parametrize(("slurm", "state"), [("PREEMPTED", "preempted"), ("TIMEOUT", "timed out")])
def test_who_told_an_interrupted_task_to_stop_slurm_may_know(slurm, state, run, slurm_says):
    end_attempt(submit(run), "interrupted", "told to stop (SIGTERM)")
    slurm_says("7", slurm)
    told = look(run, set())
    assert (told.state, told.reason) == (state, f"told to stop (SIGTERM); Slurm says {slurm}")


def test_a_task_that_writes_a_checkpoint_for_long_lives(run):
    folder = start(run, host="elsewhere")
    os.utime(folder / "started.yaml", (0, time.time() - 1000))
    assert look(run).state == "lost"
    checkpoints = run.task_folder("search", "1") / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / ".step_7.pt.tmp").touch()
    assert look(run).state == "running"


def test_a_job_that_died_before_its_task_began_is_lost_and_names_what_it_printed(run, slurm_says):
    submit(run)
    printed = run.path / "slurm" / "7_0_log.err"
    printed.parent.mkdir()
    printed.write_text("python: not found")
    slurm_says("7", "FAILED")
    told = look(run, set())
    assert (told.state, told.log) == ("lost", str(printed))
    assert "ended before the task began; Slurm says FAILED" in told.reason


@pytest.mark.parametrize(
    ("printed", "killed"),
    [
        ("Loading modules\nsrun: error: n1: task 0: Killed\n", True),
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks are dead.\n",
            True,
        ),
        ("srun: error: n1: task 0: Exited with exit code 1\n", False),
        ("Killed by my own script\n", False),
    ],
    ids=["srun", "oom_kill", "another_end", "own_words"],
)
def test_a_killed_job_is_told_to_be_out_of_memory_perhaps(run, slurm_says, printed, killed):
    write_yaml(submit(run) / "started.yaml", {**process_record(os.getpid()), "time": now()})
    (run.path / "slurm").mkdir()
    (run.path / "slurm/7_0_log.err").write_text(printed)
    slurm_says("7", "FAILED")
    told = look(run, set())
    assert told.state == "lost"
    assert told.reason.endswith("Slurm says FAILED; killed (exit status 137): often out of memory") == killed


def test_a_job_cancelled_before_it_started_leaves_its_task_pending(run, slurm_says):
    submit(run)
    slurm_says("7", "CANCELLED by 0")
    told = look(run, set())
    assert (told.state, told.attempt, told.job) == ("pending", 0, None)
    assert told.reason == "its job 7 was cancelled before it started"


def test_a_job_that_waited_in_vain_leaves_its_task_pending_even_without_accounting(run):
    end_attempt(start(run), "failed", "because")
    submit(run, "aggregate", "all", "8")
    told = look(run, set(), "all")
    assert (told.state, told.reason) == ("pending", "its job 8 was cancelled before it started")


def test_a_job_cancelled_from_here_is_known_without_accounting(run):
    submit(run)
    assert look(run, set()).state == "lost"
    run.record({"event": "cancelled", "jobs": ["7"]})
    assert look(run, set()).state == "pending"


def test_an_interrupted_job_that_slurm_still_has_is_in_hand(run):
    end_attempt(submit(run), "interrupted", "told to stop")
    told = look(run, {"7"})
    assert (told.state, told.attempt) == ("pending", 1)
    assert "Slurm still has its job 7" in told.reason
    assert look(run, set()).state == "interrupted"


def test_an_attempt_that_slurm_began_by_itself_is_known_by_its_job(run):
    end_attempt(submit(run, job="7_2"), "interrupted", "preempted")
    start(run, slurm_job_id="9", slurm_array_job_id="7", slurm_array_task_id="2", host="n1")
    told = look(run, {"7_2"})
    assert (told.state, told.attempt, told.job) == ("running", 2, "7_2")
    assert look(run, set()).state == "lost"


def test_an_allocation_that_the_run_did_not_submit_says_nothing_of_its_tasks(run):
    """The local executor may well run inside somebody's Slurm job."""
    submit(run, "aggregate", "all", "8")
    start(run, slurm_job_id="9")
    assert (look(run, {"8"}).state, look(run, {"8"}).job) == ("running", None)
