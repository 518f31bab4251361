"""Faults of a real cluster hit real searches; what is found in the end is what an undisturbed run finds, bit for bit.

docs/reliability.md is the table of what is tested here.
"""

import json
import os
import signal

import pytest

from distdnas_hpc.cluster.slurm import wait
from tests.shrunk import distdnas, findings
from tests.slurm.searches import DAYS, attempts, before_the_search, finish_one, freeze, log, thaw


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
    run = before_the_search(undisturbed, tmp_path)
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
