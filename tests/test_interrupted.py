"""Tasks in processes of their own, stopped and killed at random moments: they end as if nothing had happened."""

import random
import signal
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.storage import read_yaml
from tests.shrunk import findings, start

SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGUSR2)
NOISE = ("rows_per_second", "memory_bytes")


def run_interrupted(run: Path, stage: str, task: str, seed: int) -> list[int]:
    """Run a task again and again until it is done, each time sending it a signal; return those that hit it."""
    rng = random.Random(seed)
    folder, hits = RunFolder(run), []
    for number in SIGNALS:
        attempt = folder.new_attempt(stage, task)
        process = start("task", run, stage, task, "--attempt", attempt)
        while not (folder.attempt_folder(stage, task, attempt) / "progress.json").exists() and process.poll() is None:
            time.sleep(0.01)  # until its first step
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(number)
        process.communicate(timeout=60)
        if process.returncode:
            hits.append(number)
    process = start("task", run, stage, task, "--attempt", folder.new_attempt(stage, task))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return hits


def trajectory(run: Path, stage: str, task: str):
    return pq.read_table(run / stage / task / "trajectory.parquet").drop_columns(list(NOISE))


@pytest.mark.parametrize(("stage", "task", "seed"), [("search", "day_01", 1), ("train", "distdnas_t0.2_m1", 2)])
def test_bit_for_bit(finished_run, unfinished, stage, task, seed):
    run, _ = unfinished(stage, task)
    hits = run_interrupted(run, stage, task, seed)
    assert hits == list(SIGNALS), "the task is too short to be interrupted three times: make it longer"
    attempts = sorted((run / stage / task).glob("attempt_*"))
    states = [read_yaml(path / "ended.yaml")["state"] if (path / "ended.yaml").exists() else "" for path in attempts]
    assert states == ["interrupted", "", "interrupted", "done"]
    logs = [(path / "log.txt").read_text() for path in attempts]
    assert all("going on after step" in log for log in logs[1:])
    for log, number in zip(logs, SIGNALS):
        assert number == signal.SIGKILL or "checkpoint of step" in log

    assert findings(run) == findings(finished_run)
    assert trajectory(run, stage, task).equals(trajectory(finished_run, stage, task))
    assert not (run / stage / task / "checkpoints").exists()
    if stage == "train":
        models = [
            torch.load(each / "train/distdnas_t0.2_m1/model.pt", weights_only=True) for each in (run, finished_run)
        ]
        assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    else:
        files = [(each / "search/day_01/architecture.yaml").read_bytes() for each in (run, finished_run)]
        assert files[0] == files[1]
