"""What is submitted to Slurm, as far as it can be said without one (tests/slurm has the rest)."""

import re
import subprocess

import pytest

from distdnas_hpc.cluster.request import Request
from distdnas_hpc.cluster.snapshot import snapshot_folder
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.cluster.submission import MAX_ARRAY_SIZE, dependency, plan, scripts
from tests.cluster.small_stages import small_config

PARSE = Stage("parse", ("1", "2"), dict)
SEARCH = Stage("search", tuple("123456"), dict, after=("parse",), gpu=True)
SOME = Stage("search", tuple("123456"), dict, after=("parse",), required=4)
AGGREGATE = Stage("aggregate", ("all",), dict, after=("search",))
SLURM = {"partition": "gpu", "gres": "gpu:a5000:1", "time_minutes": 60, "mem_gb": 8, "array_parallelism": 6}
OPTIONS = {"mail_user": "me@uni.edu", "mail_type": "FAIL", "setup": ["module load cuda"], "sbatch": {"nice": 5}}


@pytest.fixture
def config(tmp_path):
    return small_config(tmp_path / "my run", cluster={"threads": 4, "slurm": {**SLURM, **OPTIONS}})


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def all_of(*stages):
    return {stage.name: stage.tasks for stage in stages}


def test_a_stage_is_an_array_in_the_order_of_stages(config):
    arrays = plan(config, [AGGREGATE, SEARCH, PARSE], all_of(PARSE, SEARCH, AGGREGATE))
    assert [(array.stage.name, array.tasks) for array in arrays] == [
        ("parse", ("1", "2")), ("search", tuple("123456")), ("aggregate", ("all",)),
    ]  # fmt: skip
    assert {array.request for array in arrays} == {Request(8, 60)}
    assert plan(config, [PARSE, SEARCH], {"search": ["3"]})[0].tasks == ("3",)
    assert plan(config, [PARSE, SEARCH], {}) == []


def test_tasks_of_other_requests_are_other_arrays_that_share_how_many_run(config):
    more = {"2": Request(16, 60), "5": Request(16, 60), "6": Request(8, 120)}
    arrays = plan(config, [PARSE, SEARCH], all_of(SEARCH), lambda stage, task: more.get(task, Request(8, 60)))
    assert [(array.tasks, array.request, array.parallel) for array in arrays] == [
        (("1", "3", "4"), Request(8, 60), 2), (("2", "5"), Request(16, 60), 2), (("6",), Request(8, 120), 2),
    ]  # fmt: skip


def test_arrays_are_no_longer_than_slurm_allows(config):
    days = tuple(map(str, range(2 * MAX_ARRAY_SIZE + 1)))
    many = Stage("search", days, dict)
    arrays = plan(config, [many], all_of(many))
    assert [len(array.tasks) for array in arrays] == [MAX_ARRAY_SIZE, MAX_ARRAY_SIZE, 1]
    assert tuple(task for array in arrays for task in array.tasks) == days


def test_what_stages_wait_for():
    stages = [PARSE, SEARCH, AGGREGATE]
    assert dependency(SEARCH, stages, {}) == ""
    assert dependency(SEARCH, stages, {"parse": ["7"]}) == "afterok:7"
    assert dependency(AGGREGATE, stages, {"parse": ["7"], "search": ["8_3", "9"]}) == "afterok:8_3:9"


def test_a_stage_that_needs_some_of_another_waits_for_its_end_and_for_what_that_one_needs():
    """`afterany` also holds when Slurm cancels the other for want of one before it."""
    stages = [PARSE, SOME, AGGREGATE]
    assert dependency(AGGREGATE, stages, {"parse": ["7"], "search": ["8"]}) == "afterany:8,afterok:7"


def test_a_script_says_all_that_the_config_asks_for(config):
    stages = [PARSE, SEARCH, AGGREGATE]
    parse, search, aggregate = scripts(config, config.run, stages, plan(config, stages, all_of(*stages)))
    options = set(re.findall(r"^#SBATCH (.*)$", search, flags=re.MULTILINE))
    run = config.run
    assert options >= {
        "--array=0-5%6", "--cpus-per-task=4", "--gres=gpu:a5000:1", "--mem=8192M", "--partition=gpu", "--time=60",
        "--mail-type=FAIL", "--mail-user=me@uni.edu", "--nice=5", "--requeue", "--signal=USR2@90",
        "--kill-on-invalid-dep=yes", "--dependency='afterok:<parse>'", f"--chdir='{run}'", "--job-name='my run/search'",
    }  # fmt: skip
    assert "--gres" not in parse, "only search and training take a GPU"
    assert "--array" not in aggregate, "a single task is a plain job"
    lines = search.splitlines()
    assert lines.index("module load cuda") < lines.index(
        f"cd '{snapshot_folder(run)}' && export PYTHONPATH='{snapshot_folder(run)}'${{PYTHONPATH:+:$PYTHONPATH}}"
    )
    assert not run.exists()


def test_scripts_are_bash(config):
    stages = [PARSE, SEARCH]
    for script in scripts(config, config.run, stages, plan(config, stages, all_of(*stages))):
        subprocess.run(["/bin/bash", "-n"], input=script, text=True, check=True)
