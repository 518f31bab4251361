"""A study on a real Slurm: one launch, a task that fails, one command that mends it, and what a local study finds."""

import json
import shutil

import pytest
import yaml

from distdnas_hpc.cluster.run_folder import RunFolder
from tests.shrunk import distdnas, findings, write_config

STUDY = {"strategies": ["distdnas", "supernet"], "seeds": [1, 2]}
RUNS = ["distdnas_g0.004_s1", "distdnas_g0.004_s2", "supernet_s1", "supernet_s2"]
SMALL = {
    "data": {"rows_per_day": 200, "days": 3},
    "train": {"days": "1-2", "test_day": 3, "batch_size": 64},
    "cluster": {"slurm": {"gres": "gpu:a5000:1", "time_minutes": 10}},
}


def study_of(folder):
    """Write the config of a study whose run folder is `folder`/run."""
    config = write_config(folder, **SMALL)
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "study": STUDY}))
    return config


def rows(told):
    assert told.returncode == 0, told.stderr
    return [{key: value for key, value in row.items() if key != "run"} for row in json.loads(told.stdout)]


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A folder with the study run on this machine, and the rows of its table."""
    folder = tmp_path_factory.mktemp("local")
    return folder, rows(distdnas("study", study_of(folder), "--cluster", "inline", "--json"))


def test_one_launch_and_one_resubmission_find_what_a_local_study_finds(slurm, local, tmp_path):
    """Shards are there; the cost importance, which all runs share, and the runs are to be made."""
    config, run = study_of(tmp_path), tmp_path / "run"
    shutil.copytree(local[0] / "run", run, ignore=shutil.ignore_patterns("study", "cost"))
    tree = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**tree, "run": str(run)}))

    slurm.command("scontrol", "update", "PartitionName=gpu", "State=DOWN")  # jobs wait, so that all can be looked at
    try:
        told = distdnas("study", config, "--cluster", "slurm", "--detach")
        assert told.returncode == 0, told.stderr
        assert f"Submitted 17 tasks to Slurm. Look with: distdnas status {run}" in told.stderr
        submitted = {event["stage"]: event["jobs"] for event in RunFolder(run).ledger()}
        (cost,) = submitted["cost"]
        days = submitted["study/distdnas_g0.004_s2/search"]
        assert [job.partition("_")[::2] for job in days] == [(days[0].partition("_")[0], day) for day in ("0", "1")]
        assert slurm.job(days[0])["Dependency"] == f"afterok:{cost}(unfulfilled)"
        assert slurm.job(days[0])["TresPerNode"] == "gres:gpu:a5000:1"
        waiting = status(run)
        assert [task["stage"] for task in waiting if task["stage"].startswith("study/supernet_s1")] == [
            f"study/supernet_s1/{stage}" for stage in ("aggregate", "train", "report")
        ]
        assert {task["job"] for task in waiting if task["state"] == "pending"} == set(slurm.squeue())
        assert {task["job"] for task in status(run / "study" / RUNS[1])} > set(days)
        for refused, said in (
            (distdnas("study", config, "--cluster", "slurm"), "running or queued already"),
            (distdnas("resubmit", run / "study" / RUNS[1]), f"Submit what is missing with: distdnas resubmit {run}"),
        ):
            assert refused.returncode == 2
            assert said in refused.stderr
        obstacle = run / "study" / RUNS[1] / "search/day_02/architecture.yaml"
        obstacle.mkdir()  # no file can take this name
    finally:
        slurm.command("scontrol", "update", "PartitionName=gpu", "State=UP")
    slurm.wait_until_empty(300)

    wrong = {f"{task['stage']}/{task['task']}": task for task in status(run) if task["state"] != "done"}
    failed, *undone = (
        f"study/{RUNS[1]}/{name}" for name in ("search/day_02", "aggregate/all", "train/distdnas_t0.2_m1")
    )
    assert wrong.keys() == {failed, *undone, f"study/{RUNS[1]}/report/all"}
    assert wrong[failed]["state"] == "failed"
    assert "IsADirectoryError" in wrong[failed]["reason"]
    page = (run / "study/report.html").read_text()
    assert "2 of 2" in page, "what is there is reported"

    obstacle.rmdir()
    did = distdnas("resubmit", run, "--json")
    assert did.returncode == 0, did.stderr
    assert [task["task"] for task in json.loads(did.stdout)["again"]] == [failed]
    assert json.loads(did.stdout)["others"] == [*undone, f"study/{RUNS[1]}/report/all"]
    slurm.wait_until_empty(300)
    assert {task["state"] for task in status(run)} == {"done"}
    nothing = distdnas("study", config, "--cluster", "slurm", "--json")
    assert rows(nothing) == local[1]
    assert "Nothing was submitted, every task is done." in nothing.stderr
    assert slurm.squeue() == {}
    for name in RUNS:
        assert findings(run / "study" / name) == findings(local[0] / "run/study" / name)


def status(run):
    return json.loads(distdnas("status", run, "--json").stdout)
