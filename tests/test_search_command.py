"""`distdnas search CONFIG --day T`: one day's task in the foreground."""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.config import load_config
from distdnas_hpc.storage import read_yaml
from tests.event_files import records, scalars
from tests.shrunk import SMALL_BATCHES, distdnas, findings, start, write_config


def outputs(run: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in (run / "search/day_01").glob("*.yaml") if path.name != "result.yaml"
    }


def test_leaves_the_files_of_the_arrays_task_and_shows_the_weights(finished_run, unfinished):
    run, config = unfinished("search", "day_01")
    told = distdnas("search", config, "--day", 1)
    assert told.returncode == 0, told.stderr
    assert findings(run) == findings(finished_run)
    assert outputs(run) == outputs(finished_run)
    names = {path.name for path in (run / "search/day_01").iterdir()}
    assert names == {path.name for path in (finished_run / "search/day_01").iterdir()}
    alpha = read_yaml(run / "search/day_01/architecture.yaml")["alpha"]
    row = next(line for line in told.stdout.splitlines() if line.split()[:1] == ["1"])
    assert re.findall(r"\d\.\d\d", row) == [f"{p:.2f}" for p in alpha[0]]
    assert f"α and β of day 1 after 600 rows: {run}/search/day_01/architecture.yaml" in told.stdout
    assert re.search(r"^search/day_01 done \(.*rows/s, loss 0\.\d+\)$", told.stderr, flags=re.MULTILINE)
    assert "\x1b" not in told.stdout + told.stderr, "no terminal, no colours"


def test_leaves_curves_for_tensorboard_where_the_run_s_config_says_so(unfinished):
    """The key is no part of the experiment: it may be set when a run goes on."""
    run, config = unfinished("search", "day_02")
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("tensorboard: false", "tensorboard: true"))
    told = distdnas("search", config, "--day", 2)
    assert told.returncode == 0, told.stderr
    (path,) = (run / "search/day_02/tensorboard").iterdir()
    _, *events = records(path.read_bytes())
    step, values = scalars(events[-1])
    last = json.loads((run / "search/day_02/attempt_01/progress.json").read_text())
    assert (step, values["loss"]) == (600, pytest.approx(last["loss"], rel=1e-6))
    assert values["beta/block_2/pma"] == pytest.approx(last["architecture"]["beta"][9], rel=1e-6)
    assert not (run / "search/day_01/tensorboard").exists()


def test_a_day_that_is_done_is_shown_and_left_alone(finished_run, unfinished):
    run, config = unfinished("search", "day_02")
    before = {path: path.stat().st_mtime_ns for path in (run / "search/day_01").rglob("*")}
    told = distdnas("search", config, "--day", 1)
    assert told.returncode == 0
    assert "α and β of day 1" in told.stdout
    assert {path: path.stat().st_mtime_ns for path in (run / "search/day_01").rglob("*")} == before
    assert not (run / "search/day_02").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_says_how_to_go_on_and_does(finished_run, unfinished, number):
    run, config = unfinished("search", "day_01")
    process = start("search", config, "--day", 1)
    while not (run / "search/day_01/attempt_01/progress.json").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert f"Stopped. What is done is kept. Go on with: distdnas search {config} --day 1" in err
    assert "Traceback" not in err
    assert list((run / "search/day_01/checkpoints").iterdir())
    (state,) = (told for told in status(run) if told["stage"] == "search" and told["task"] == "day_01")
    assert state["state"] == "interrupted"
    assert len(state["architecture"]["alpha"]) == 2 * 5

    assert distdnas("search", config, "--day", 1).returncode == 0
    assert "going on after step" in (run / "search/day_01/attempt_02/log.txt").read_text()
    assert outputs(run) == outputs(finished_run)


def status(run: Path) -> list[dict]:
    return json.loads(distdnas("status", run, "--json").stdout)


def test_a_terminal_sees_progress_and_weights_move(unfinished):
    _, config = unfinished("search", "day_01")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "distdnas_hpc", "search", str(config), "--day", "1"],
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "40"},
    )
    os.close(slave)
    screen = b""
    with contextlib.suppress(OSError):  # how a pseudo-terminal says that nobody writes to it any more
        while chunk := os.read(master, 65536):
            screen += chunk
    os.close(master)
    text = screen.decode()
    assert process.wait(60) == 0, text
    frames = text.split("search/day_01")
    live = [frame for frame in frames if "running" in frame and "dot_product" in frame and "transformer" in frame]
    assert live, "a frame that shows the task at work and its weights"
    assert "rows/s" in live[-1]


def test_divergence_is_told_and_marked(finished_run, tmp_path):
    """Learning rates far too high, in a run of its own that takes over prepared data and cost importance."""
    config = write_config(tmp_path, **SMALL_BATCHES, optimizer={"dense_lr": 1e6})
    run = RunFolder.prepare(load_config(config)).path
    for stage in ("prepared", "parse", "merge", "encode", "manifest", "cost"):
        shutil.copytree(finished_run / stage, run / stage)
    told = distdnas("search", config, "--day", 2)
    assert told.returncode == 1
    assert re.search(
        r"Error: search/day_02 diverged: LogLoss diverged at step \d+ \(day 2\): loss_\w+ is .* that of (block|module)",
        told.stderr,
    )
    assert "Traceback" not in told.stderr
    assert read_yaml(run / "search/day_02/attempt_01/ended.yaml")["state"] == "diverged"
    told = distdnas("status", run)
    assert told.returncode == 1
    assert re.search(r"search/day_02 .* diverged", told.stdout)


def refused(*arguments: object) -> str:
    told = distdnas("search", *arguments)
    assert (told.returncode, told.stdout) == (2, ""), told.stderr
    assert "Traceback" not in told.stderr
    return told.stderr


def test_wrong_use(finished_run, unfinished, tmp_path):
    assert "Missing option '--day'" in refused("x.yaml")
    assert "nowhere.yaml does not exist" in refused("nowhere.yaml", "--day", 1)
    run, config = unfinished("search", "day_01")
    assert "Day 3 is not to be searched (search.days: 1, 2); give one of these days." in refused(config, "--day", 3)
    (run / "cost/all/result.yaml").unlink()
    assert "The stage 'cost' of" in (told := refused(config, "--day", 1))
    assert "do it first: distdnas cost CONFIG" in told
    (run / "manifest/all/result.yaml").unlink()
    assert "do it first: distdnas prepare CONFIG" in refused(config, "--day", 1)
    assert not (run / "search/day_01").exists()
    other = write_config(tmp_path, **SMALL_BATCHES, model={"dim_d": 8})
    assert "belongs to another config (it differs in model.dim_d)" in refused(other, "--day", 1)
    shutil.rmtree(run)
    assert "isn't there yet; prepare its data first: distdnas prepare CONFIG" in refused(config, "--day", 1)
    assert not run.exists()


def test_a_day_at_work_is_not_searched_twice_but_another_one_may_be(unfinished):
    run, config = unfinished("search", "day_01")
    shutil.rmtree(run / "search/day_02")
    first = start("search", config, "--day", 1)
    while not (run / "search/day_01/attempt_01/started.yaml").exists():
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # at work, and no further
    try:
        assert "running or queued already (search/day_01)" in refused(config, "--day", 1)
        assert distdnas("search", config, "--day", 2).returncode == 0
    finally:
        first.send_signal(signal.SIGCONT)
    first.communicate(timeout=60)
    assert first.returncode == 0
