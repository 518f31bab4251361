"""Faults of a real cluster hit real searches; what is found in the end is what an undisturbed run finds, bit for bit.

docs/reliability.md is the table of what is tested here.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from distdnas_hpc.cluster.queue import queue
from distdnas_hpc.cluster.request import Request
from distdnas_hpc.cluster.resubmit import Wishes
from distdnas_hpc.cluster.resubmit import resubmit as mend
from distdnas_hpc.cluster.slurm import wait
from distdnas_hpc.cluster.status import submitted_jobs
from distdnas_hpc.cluster.submission import submit
from distdnas_hpc.storage import read_yaml
from tests.cluster.small_stages import make_run, plan, run_task, stages_of
from tests.cluster.small_stages import states as small_states
from tests.shrunk import COMMAND, ROOT, distdnas, findings
from tests.slurm.searches import DAYS, attempts, before_the_search, finish_one, freeze, log, started, stop_comes, thaw


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    return finish_one(tmp_path_factory.mktemp("undisturbed"))


def launch(run):
    told = distdnas("launch", run.path.parent / "config.yaml")
    assert told.returncode == 0, told.stderr
    return told


def resubmit(run, *options):
    told = distdnas("resubmit", run.path, "--json", *options)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def states(run):
    told = distdnas("status", run.path, "--json")
    return {f"{task['stage']}/{task['task']}": task for task in json.loads(told.stdout)}


def jobs(run, stage="search"):
    """The newest job of each task."""
    return {
        task: job
        for event in run.ledger()
        if event["event"] == "submitted" and event["stage"] == stage
        for task, job in zip(event["tasks"], event["jobs"])
    }


def test_a_failing_a_killed_and_a_cancelled_day_go_again(slurm, undisturbed, tmp_path):
    """And what waited for them in vain; what is done does not."""
    run = before_the_search(undisturbed, tmp_path, trained=False)
    shard = run.path / "prepared/day_01/shard_0000.h5"
    content = shard.read_bytes()
    shard.unlink()
    told = launch(run)
    assert f"Submitted 6 tasks to Slurm. Look with: distdnas status {run.path}" in told.stderr
    again = distdnas("launch", tmp_path / "config.yaml")
    assert again.returncode == 2
    assert "running or queued already" in again.stderr
    killed, cancelled = freeze(slurm, run, "day_02", "day_03")
    os.kill(killed, signal.SIGKILL)
    slurm.command("scancel", jobs(run)["day_03"])
    thaw(cancelled)
    wait(run, interval=0.2)
    told = states(run)
    assert [told[f"search/{day}"]["state"] == "done" for day in DAYS] == [False] * 3
    assert told["aggregate/all"]["state"] != "done"
    assert attempts(run, "day_01") == ["failed"]

    shard.write_bytes(content)
    did = resubmit(run)
    assert [each["task"] for each in did["again"]] == [f"search/{day}" for day in DAYS]
    assert did["others"][0] == "aggregate/all"
    second = resubmit(run)
    assert second["again"] == second["others"] == []
    assert second["replaced"] == 0
    wait(run, interval=0.2)
    assert findings(run.path) == findings(undisturbed)
    assert all("going on after step" in log(run, day, 2) for day in ("day_02", "day_03"))
    assert [attempts(run, day)[1:] for day in DAYS] == [["done"]] * 3
    nothing = distdnas("resubmit", run.path)
    assert nothing.stdout.startswith("Nothing was submitted.\nEvery task is done.\n")


def test_what_slurm_begins_again_goes_on_from_its_checkpoint(slurm, undisturbed, tmp_path):
    """scontrol requeue, a time limit that is near, preemption by a partition of higher priority: nobody does anything.

    Meanwhile slurmctld is restarted, and then there is no accounting.
    """
    run = before_the_search(undisturbed, tmp_path, gres="gpu:a5000:1")
    launch(run)
    frozen = freeze(slurm, run, *DAYS)
    slurm.restart_controller()
    slurm.wait(lambda: len(slurm.squeue()) == 4, "the jobs again")
    with slurm.without_accounting():
        requeued, _, limited = (jobs(run)[day] for day in DAYS)
        slurm.command("scontrol", "requeue", requeued)
        node = started(run, "day_02")["slurmd_nodename"]
        urgent = ("--partition=urgent", f"--nodelist={node}", "--exclusive", "--output=/dev/null", "--wrap=true")
        slurm.command("sbatch", *urgent)
        slurm.command("scancel", "--signal=USR2", limited)  # as --signal makes Slurm do
        for day, pid in zip(DAYS, frozen):
            stop_comes(slurm, run, day, pid)
        wait(run, interval=0.2)
    assert findings(run.path) == findings(undisturbed)
    for day in DAYS:
        assert attempts(run, day) == ["interrupted", "done"]
        assert "going on after step" in log(run, day, 2)
    reasons = [read_yaml(run.attempt_folder("search", day, 1) / "ended.yaml")["reason"] for day in DAYS]
    assert ["SIGTERM" in reason for reason in reasons] == [True, True, False]
    assert ["beginning 2 of at most 10" in reason for reason in reasons] == [False, True, True]


def test_tasks_that_ended_without_a_word_go_again_with_what_they_lacked(slurm, undisturbed, tmp_path):
    """A node goes down, a time limit comes near, memory runs out; in another run a task is deaf to warnings."""
    deaf = make_run(
        tmp_path / "deaf", {"name": "search", "tasks": ["1"]}, do={"search/1": "deaf"},
        cluster={"slurm": {"time_minutes": 10, "sbatch": {"nodelist": "n4"}}},
    )  # fmt: skip
    submit(deaf, stages_of(deaf), run_task)
    run = before_the_search(undisturbed, tmp_path, gres="gpu:a5000:1", mem_gb=1, sbatch={"exclude": "n4"})
    launch(run)
    lost, limited, big = freeze(slurm, run, *DAYS)
    slurm.limit_time(jobs(run)["day_02"])
    slurm.wait(lambda: (deaf.attempt_folder("search", "1", 1) / "progress.json").is_file(), "the deaf task at work")
    slurm.limit_time(submitted_jobs(deaf)["search", "1", 1])
    node = started(run, "day_01")["slurmd_nodename"]
    slurm.command("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    slurm.wait(lambda: slurm.squeue().get(jobs(run)["day_01"]) != "RUNNING", "day 1 queued again")
    with contextlib.suppress(ProcessLookupError):  # unless Slurm could end it; else it goes on as a twin
        thaw(lost)
    slurm.command("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)  # unless it is back by itself
    slurm.wait(lambda: "down" not in slurm.sinfo()[node], "the node back")
    os.kill(big, signal.SIGKILL)  # as the kernel does when memory runs out, which ends the task with status 137
    stop_comes(slurm, run, "day_02", limited)
    wait(run, interval=0.2)
    assert [run.is_done("search", day) for day in DAYS] == [True, True, False]
    assert states(run)["search/day_03"]["reason"].endswith("killed (exit status 137): often out of memory")
    assert resubmit(run)["again"] == [{"task": "search/day_03", "mem_gb": 2.0, "minutes": 10}], "twice the memory"
    wait(run, interval=0.2)
    assert findings(run.path) == findings(undisturbed)
    assert all("going on after step" in log(run, day, 2) for day in DAYS)
    reason = read_yaml(run.attempt_folder("search", "day_02", 1) / "ended.yaml")["reason"]
    assert reason == "told that its time limit is near; Slurm queues it again, beginning 2 of at most 10"

    wait(deaf, interval=0.2)
    assert small_states(deaf, queue(deaf)) == {"search/1": "timed out"}
    plan(deaf)
    did = mend(deaf, stages_of(deaf), run_task, Wishes())
    assert did.again == {("search", "1"): Request(None, 20)}, "twice the time"
    wait(deaf, interval=0.2)
    assert deaf.is_done("search", "1")


def test_jobs_of_a_launch_that_was_killed_before_it_recorded_them_are_found(slurm, undisturbed, tmp_path):
    run = before_the_search(undisturbed, tmp_path)
    sbatch = tmp_path / "bin/sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(f'#!/bin/sh\n{shutil.which("sbatch")} "$@" >/dev/null; kill -9 $PPID\n')
    sbatch.chmod(0o755)
    environment = {**os.environ, "PATH": f"{sbatch.parent}:{os.environ['PATH']}"}
    killed = subprocess.run([*COMMAND, "launch", tmp_path / "config.yaml"], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(slurm.squeue()) == 3
    assert run.ledger() == []
    did = resubmit(run)
    assert did["others"] == [*(f"search/{day}" for day in DAYS), "aggregate/all"]
    assert len(slurm.squeue()) == 4
    wait(run, interval=0.2)
    assert findings(run.path) == findings(undisturbed)
    assert [attempts(run, day)[-1] for day in DAYS] == ["done"] * 3


def test_a_full_disk_fails_tasks_with_a_word_and_they_go_again_when_there_is_room(slurm, undisturbed, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", disk], check=True)
    try:
        run = before_the_search(undisturbed, disk)
        launch(run)
        frozen = freeze(slurm, run, *DAYS)
        with (disk / "filler").open("wb") as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(1 << 16))
        thaw(*frozen)
        wait(run, interval=0.2)
        told = states(run)
        assert not any(run.is_done("search", day) for day in DAYS)
        (disk / "filler").unlink()
        assert len(resubmit(run)["again"]) == 3, told
        wait(run, interval=0.2)
        assert findings(run.path) == findings(undisturbed)
    finally:
        slurm.clear()
        subprocess.run(["umount", "--lazy", disk], check=True)


def script(name, *arguments):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [ROOT / "slurm" / name, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_two_runs_side_by_side_one_by_command_and_one_by_scripts(slurm, undisturbed, tmp_path):
    """Cancelling one leaves the other alone; commands and scripts mix."""
    by_command, by_script = tmp_path / "by_command", tmp_path / "by_script"
    by_command.mkdir()
    by_script.mkdir()
    one, two = before_the_search(undisturbed, by_command), before_the_search(undisturbed, by_script)
    launch(one)
    told = script("launch.sh", by_script / "config.yaml", "--nice=1")
    assert told.returncode == 0, told.stderr
    assert "days 1,2,3%256" in told.stdout
    for refused in (script("resubmit_failed.sh", two.path), distdnas("resubmit", two.path)):
        assert refused.returncode == 2
        assert "running or queued" in refused.stderr
    (killed,) = freeze(slurm, two, "day_02")
    os.kill(killed, signal.SIGKILL)
    cancelled = distdnas("cancel", one.path)
    assert cancelled.returncode == 0, cancelled.stderr
    assert f"Go on with: distdnas resubmit {one.path}" in cancelled.stdout
    slurm.wait_until_empty()  # the finish of the second is cancelled by Slurm: day 2 failed
    assert [two.is_done("search", day) for day in DAYS] == [True, False, True]
    assert not one.is_done("aggregate", "all")

    told = script("resubmit_failed.sh", one.path)
    assert told.returncode == 0, told.stderr
    without = resubmit(two, "--min-days", "2")
    assert (without["others"][0], without["left_out"]) == ("aggregate/all", ["search/day_02"])
    slurm.wait_until_empty()
    assert findings(one.path) == findings(undisturbed)
    assert script("resubmit_failed.sh", one.path).stdout.startswith("Nothing is missing.")
    assert read_yaml(two.path / "aggregate/all/result.yaml")["days"] == [1, 3]

    assert [each["task"] for each in resubmit(two, "--day", "2")["again"]] == ["search/day_02"]
    slurm.wait_until_empty()
    assert "going on after step" in log(two, "day_02", 2)
    assert resubmit(two)["renewed"][0] == "aggregate/all"
    slurm.wait_until_empty()
    assert findings(two.path) == findings(undisturbed)
    assert read_yaml(two.path / "superseded/01/aggregate/all/result.yaml")["days"] == [1, 3]


def test_every_command_of_the_page_works_as_written(slurm, undisturbed, tmp_path):
    """On a finished run, which they leave alone."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/reliability.md").read_text(), flags=re.DOTALL)
    commands = [line.partition("#")[0].split() for block in blocks for line in block.splitlines()]
    assert len(commands) == 10
    run = shutil.copytree(undisturbed, tmp_path / "run")
    tree = {**yaml.safe_load((run / "config.yaml").read_text()), "run": str(run)}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    for command, *words in commands:
        places = {"RUN": run, "CONFIG": tmp_path / "config.yaml"}
        arguments = [places.get(word, word) for word in words]
        told = distdnas(*arguments) if command == "distdnas" else script(Path(command).name, *arguments)
        assert told.returncode == 0, f"{command} {words}: {told.stderr}"
    assert slurm.squeue() == {}
    assert findings(run) == findings(undisturbed)
