"""The whole pipeline on real rows: the quickstart, shrunk, in this process and in processes of its own."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import yaml

from distdnas_hpc import pipeline
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import in_order
from distdnas_hpc.config import load_config
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.storage import read_yaml
from tests.shrunk import distdnas, findings, start, write_config

TASKS = 4 + 1 + 4 + 1 + 1 + 2 + 1 + 2 + 1


@pytest.fixture(scope="module")
def inline(tmp_path_factory) -> Path:
    """The folder of a finished inline run, and what it printed."""
    folder = tmp_path_factory.mktemp("inline")
    told = distdnas("run", write_config(folder), "--cluster", "inline")
    assert told.returncode == 0, told.stderr
    (folder / "out.txt").write_text(told.stdout)
    (folder / "err.txt").write_text(told.stderr)
    return folder


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    told = distdnas("run", write_config(folder), "--cluster", "local", "--workers", 2)
    assert told.returncode == 0, told.stderr
    return folder


def test_stages_are_those_of_the_design(tmp_path):
    stages = {stage.name: stage for stage in pipeline.stages(load_config(write_config(tmp_path)))}
    assert [stage.name for stage in in_order(stages.values())] == [
        *("parse", "merge", "encode", "manifest", "cost", "search", "aggregate", "train", "report"),
    ]
    assert stages["search"].tasks == ("day_01", "day_02")
    assert stages["train"].tasks == ("distdnas_t0.2_m1", "dlrm")
    assert [name for name, stage in stages.items() if stage.gpu] == ["cost", "search", "train"]


def test_lists_its_stages_without_torch(tmp_path):
    """`status` on a login node must not wait for it, nor need it."""
    import subprocess
    import sys

    code = "import distdnas_hpc.cli, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_task_is_done_and_the_report_is_there(inline):
    told = distdnas("status", inline / "run", "--json")
    assert told.returncode == 0
    states = json.loads(told.stdout)
    assert len(states) == TASKS
    assert {state["state"] for state in states} == {"done"}
    assert "<html" in (inline / "run/report.html").read_text()


def test_ends_with_a_table_and_what_it_can_prove(inline):
    out = (inline / "out.txt").read_text()
    results = {name: read_yaml(inline / f"run/train/{name}/result.yaml") for name in ("distdnas_t0.2_m1", "dlrm")}
    for told in results.values():
        line = next(line for line in out.splitlines() if told["title"] in line)
        assert f"{told['auc']:.4f}" in line
        assert f"{told['logloss']:.5f}" in line
        assert f"{told['ne']:.4f}" in line
    relative = (results["distdnas_t0.2_m1"]["ne"] / results["dlrm"]["ne"] - 1) * 100
    assert f"{abs(relative):.2f}" in out
    assert "600 test rows" in out
    assert f"standard error of an AUC here is {results['dlrm']['auc_standard_error']:.3f}"[:-2] in out
    assert str(inline / "run/report.html") in out


def test_progress_names_every_task(inline):
    err = (inline / "err.txt").read_text()
    assert err.count(" done (") == TASKS
    assert "search/day_02 done" in err
    assert "rows/s, loss 0." in err


def test_local_processes_find_the_same_bit_for_bit(inline, local):
    assert findings(local / "run") == findings(inline / "run")


def test_another_seed_finds_something_else(inline, tmp_path):
    config = write_config(tmp_path)
    config.write_text(config.read_text().replace("seed: 1", "seed: 2"))
    assert distdnas("run", config, "--cluster", "inline").returncode == 0
    mine, theirs = findings(tmp_path / "run"), findings(inline / "run")
    assert mine["search/day_01/architecture.yaml"] != theirs["search/day_01/architecture.yaml"]
    assert mine["prepared/manifest.yaml"] == theirs["prepared/manifest.yaml"], "no seed decides what the data is"


def test_the_architecture_is_what_theta_keeps_of_the_mean(inline):
    run = inline / "run"
    days = [read_yaml(run / f"search/day_{day:02d}/architecture.yaml") for day in (1, 2)]
    found = read_yaml(run / "aggregate/all/architecture_t0.2.yaml")
    for side, modules, letter in (("dense", "dense_modules", "alpha"), ("sparse", "sparse_modules", "beta")):
        for block, kept in enumerate(found[side]):
            mean = [(a + b) / 2 for a, b in zip(days[0][letter][block], days[1][letter][block])]
            passed = [name for name, p in zip(days[0][modules], mean) if p >= 0.2 - 1e-6]
            assert kept == (passed or [max(zip(mean, days[0][modules]))[1]])


def test_models_are_counted_and_named(inline):
    dlrm, distdnas_ = (read_yaml(inline / f"run/train/{name}/result.yaml") for name in ("dlrm", "distdnas_t0.2_m1"))
    assert dlrm["title"] == "DLRM"
    assert distdnas_["title"] == "DistDNAS (θ=0.2, M=1)"
    assert dlrm["macs"] == 13 * 64 + 64 * 8 + (351 + 8) * 64 + 2 * 64 * 64 + 64 + 27 * 27 * 8
    architecture = Architecture.from_dict(read_yaml(inline / "run/aggregate/all/architecture_t0.2.yaml"))
    assert architecture.blocks == 2
    tables = read_yaml(inline / "run/merge/all/result.yaml")["table_sizes"]
    assert dlrm["embedding_parameters"] == distdnas_["embedding_parameters"] == 8 * sum(tables)
    assert (dlrm["rows"], dlrm["test_rows"]) == (1800, 600)


def test_the_models_command_counts_what_was_trained(inline):
    told = distdnas("models", inline / "config.yaml", "--json")
    assert told.returncode == 0, told.stderr
    content = json.loads(told.stdout)
    costs = {row["title"]: row for row in content["models"]}
    for name in ("dlrm", "distdnas_t0.2_m1"):
        result = read_yaml(inline / f"run/train/{name}/result.yaml")
        cost = costs[result["title"]]
        assert [cost[key] for key in ("macs", "interaction_parameters")] == [
            result[key] for key in ("macs", "interaction_parameters")
        ]
        assert cost["parameters"] == result["interaction_parameters"] + result["embedding_parameters"]
    assert len(content["notes"]) == 2, "where the tables come from, and that dimensions are not the paper's"


def test_a_second_run_does_nothing_and_shows_the_results_again(inline):
    run = inline / "run"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != "config.yaml" and path.is_file()}
    told = distdnas("run", inline / "config.yaml", "--cluster", "local")
    assert told.returncode == 0
    assert told.stdout == (inline / "out.txt").read_text()
    after = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != "config.yaml" and path.is_file()}
    assert after == before


def test_prepare_does_the_first_stages_and_run_goes_on_from_there(inline, tmp_path):
    config = write_config(tmp_path)
    told = distdnas("prepare", config, "--cluster", "inline", "--verify")
    assert told.returncode == 0, told.stderr
    assert "Every file is what was written." in told.stderr
    assert "2,400 rows" in told.stdout
    run = tmp_path / "run"
    assert not (run / "cost").exists()
    assert not list(run.glob("parse/*/counts.h5")), "what nobody reads again is gone"
    assert read_yaml(run / "prepared/manifest.yaml") == read_yaml(inline / "run/prepared/manifest.yaml")
    before = (run / "prepared/manifest.yaml").stat().st_mtime_ns
    assert distdnas("run", config, "--cluster", "inline").returncode == 0
    assert (run / "prepared/manifest.yaml").stat().st_mtime_ns == before
    assert findings(run) == findings(inline / "run")


def test_cost_needs_no_data_and_run_takes_what_it_found(inline, tmp_path):
    config = write_config(tmp_path)
    missing = yaml.safe_load(config.read_text())
    missing["data"]["raw"] = str(tmp_path / "not_here_yet.gz")
    (tmp_path / "elsewhere.yaml").write_text(yaml.safe_dump(missing))
    told = distdnas("cost", tmp_path / "elsewhere.yaml", "--run", tmp_path / "other", "--cluster", "inline")
    assert told.returncode == 0, told.stderr
    assert "held-out R²" in told.stdout
    assert f"Figure: {tmp_path}/other/cost/all/importance.svg" in told.stdout
    assert "<svg" in (tmp_path / "other/cost/all/importance.svg").read_text()
    assert not (tmp_path / "other/parse").exists()
    found = read_yaml(inline / "run/cost/all/result.yaml")
    assert read_yaml(tmp_path / "other/cost/all/result.yaml")["dense"] == found["dense"]

    before = (inline / "run/cost/all/result.yaml").stat().st_mtime_ns
    told = distdnas("cost", inline / "config.yaml", "--json")
    content = json.loads(told.stdout)
    assert (inline / "run/cost/all/result.yaml").stat().st_mtime_ns == before, "it is there, and only shown"
    assert content["r2"] == found["r2"]
    assert [row["block_1"] for row in content["modules"]] == found["dense"][0] + found["sparse"][0]
    assert [row["later"] for row in content["modules"]] == found["dense"][1] + found["sparse"][1]


def test_data_shows_what_is_prepared(inline):
    run = inline / "run"
    content = json.loads(distdnas("data", run, "--json").stdout)
    assert (content["rows"], len(content["days"]), len(content["dense"]), len(content["sparse"])) == (2400, 4, 13, 26)
    assert content["bytes"] == sum(path.stat().st_size for path in run.glob("prepared/day_*/*"))
    assert distdnas("data", run / "prepared").stdout == distdnas("data", run).stdout
    assert "C26" in distdnas("data", run).stdout


def test_a_shard_that_changed_is_found_by_verify(inline, tmp_path):
    run = shutil.copytree(inline / "run", tmp_path / "run")
    config = write_config(tmp_path)
    shard = run / "prepared/day_02/shard_0000.h5"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    told = distdnas("prepare", config, "--verify", "--cluster", "inline")
    assert told.returncode == 2
    assert "1 of 8 files are damaged (day_02/shard_0000.h5 has changed); restore them" in told.stderr


def test_ctrl_c_leaves_no_process_and_the_same_command_goes_on(inline, tmp_path):
    config = write_config(tmp_path)
    process = start("run", config, "--cluster", "local", "--workers", 2)
    started = tmp_path / "run/search/day_01/attempt_01/started.yaml"
    while not started.exists():
        assert process.poll() is None
        time.sleep(0.05)
    pid = read_yaml(started)["pid"]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"Stopped. What is done is kept. Go on with: distdnas run {config}" in err
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    states = {f"{told['stage']}/{told['task']}": told["state"] for told in status(tmp_path / "run")}
    assert states["merge/all"] == "done"
    assert states["search/day_01"] == "interrupted"
    assert states["train/dlrm"] == "pending"
    assert distdnas("run", config, "--cluster", "local").returncode == 0
    assert findings(tmp_path / "run") == findings(inline / "run")


def status(run: Path) -> list[dict]:
    return json.loads(distdnas("status", run, "--json").stdout)


def test_two_commands_on_one_run_do_not_mix(tmp_path):
    config = write_config(tmp_path)
    process = start("run", config, "--cluster", "local")
    while not (tmp_path / "run/cost/all/attempt_01/started.yaml").exists():
        time.sleep(0.05)
    before = (tmp_path / "run/config.yaml").read_bytes()
    told = distdnas("run", config, "--cluster", "inline")
    assert told.returncode == 2
    assert "running or queued already" in told.stderr
    assert (tmp_path / "run/config.yaml").read_bytes() == before, "the tasks at work read it"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_a_day_that_fails_is_told_with_its_log_and_done_again_later(tmp_path):
    """Something stands where day 2's shards should go."""
    config = write_config(tmp_path)
    in_the_way = RunFolder.prepare(load_config(config)).path / "prepared/day_02"
    in_the_way.parent.mkdir()
    in_the_way.write_text("")
    told = distdnas("run", config, "--cluster", "local")
    assert told.returncode == 1
    assert "Error: parse/day_02 failed: FileExistsError" in told.stderr
    log = Path(told.stderr.split("its log: ")[1].splitlines()[0])
    assert "Traceback" in log.read_text()
    assert "Traceback" not in told.stderr
    assert distdnas("status", tmp_path / "run").returncode == 1

    in_the_way.unlink()
    assert distdnas("run", config).returncode == 0
    assert RunFolder(tmp_path / "run").result("parse", "day_02")["task"]["attempt"] == 2
    assert RunFolder(tmp_path / "run").result("parse", "day_03")["task"]["attempt"] == 1
