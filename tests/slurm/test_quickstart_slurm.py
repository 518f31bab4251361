"""The whole pipeline on a real Slurm: `distdnas run … --cluster slurm` finds what local processes find."""

import json
import signal

import pytest

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.storage import read_yaml
from tests.shrunk import distdnas, findings, start, write_config, write_config_with_a_deep_fault

GPU = {"slurm": {"gres": "gpu:a5000:1", "time_minutes": 10, "mem_gb": 1}}


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    assert distdnas("run", write_config(folder), "--cluster", "local").returncode == 0
    return folder / "run"


def test_slurm_finds_the_same_bit_for_bit(slurm, local, tmp_path):
    told = distdnas("run", write_config(tmp_path, cluster=GPU), "--cluster", "slurm")
    assert told.returncode == 0, told.stderr
    run = tmp_path / "run"
    assert findings(run) == findings(local)
    assert "DistDNAS (θ=0.2, M=1)" in told.stdout
    assert (run / "report.html").is_file()

    submitted = {event["stage"]: event for event in RunFolder(run).ledger() if event["event"] == "submitted"}
    assert [len(submitted[stage]["jobs"]) for stage in ("search", "train", "aggregate")] == [2, 2, 1]
    assert all("_" in job for job in submitted["search"]["jobs"]), "the days are one array"
    started = {
        (stage, task): read_yaml(run / stage / task / "attempt_01/started.yaml")
        for stage, event in submitted.items()
        for task in event["tasks"]
    }
    for (stage, task), record in started.items():
        assert record["slurmd_nodename"].startswith("n")
        job = record.get("slurm_array_job_id", record["slurm_job_id"])
        assert submitted[stage]["jobs"][submitted[stage]["tasks"].index(task)].partition("_")[0] == job
    assert started["search", "day_01"]["cuda_visible_devices"] == "0", "a search task gets the one GPU it asks for"
    assert "cuda_visible_devices" not in started["parse", "day_01"], "and a task without need for one gets none"


def test_detached_runs_are_watched_with_status_and_not_started_twice(slurm, tmp_path):
    config = write_config(tmp_path, cluster=GPU)
    told = distdnas("run", config, "--cluster", "slurm", "--detach")
    assert told.returncode == 0
    assert f"Submitted 17 tasks to Slurm. Look with: distdnas status {tmp_path / 'run'}" in told.stderr
    again = distdnas("run", config, "--cluster", "slurm")
    assert again.returncode == 2
    assert "running or queued already" in again.stderr
    slurm.wait_until_empty()
    told = status(tmp_path / "run")
    assert told.returncode == 0
    assert {task["state"] for task in json.loads(told.stdout)} == {"done"}
    assert all(task["job"] for task in json.loads(told.stdout))


def test_ctrl_c_leaves_the_jobs_in_slurm(slurm, tmp_path):
    process = start("run", write_config(tmp_path, cluster=GPU), "--cluster", "slurm")
    while "Submitted" not in (line := process.stderr.readline()):
        assert line, "it ended without submitting"
    process.stderr.readline()  # the display is up
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"Its jobs go on in Slurm. Watch them with: distdnas status {tmp_path / 'run'}" in err
    assert slurm.squeue()


def test_a_fault_in_a_task_is_told_as_on_this_machine(slurm, tmp_path):
    """Slurm cancels what waits for the day with the fault."""
    told = distdnas("run", write_config_with_a_deep_fault(tmp_path, cluster=GPU), "--cluster", "slurm")
    assert told.returncode == 2
    assert f"Error: parse/day_02 failed: {tmp_path}/day_1, line 60001: 2 fields" in told.stderr
    states = {f"{told['stage']}/{told['task']}": told for told in json.loads(status(tmp_path / "run").stdout)}
    assert states["parse/day_01"]["state"] == states["cost/all"]["state"] == "done"
    assert states["merge/all"]["state"] == "pending"
    assert "cancelled before it started" in states["merge/all"]["reason"]
    assert status(tmp_path / "run").returncode == 1


def status(run):
    return distdnas("status", run, "--json")
