"""What users do wrong: one sentence with place and remedy, status 2, no traceback, nothing half-written."""

import gzip
import json
from pathlib import Path

import pytest

from distdnas_hpc import __version__
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.config import load_config
from tests.shrunk import ROOT, distdnas, write_config, write_config_with_a_deep_fault

ROWS = gzip.decompress((ROOT / "configs/data/criteo_kaggle_7200.tsv.gz").read_bytes()).splitlines(keepends=True)


def refused(*arguments: object, **options) -> str:
    """Run a command that must be refused; return its sentence."""
    told = distdnas(*arguments, **options)
    assert told.returncode == 2, told.stdout + told.stderr
    assert "Traceback" not in told.stderr
    assert told.stdout == ""
    return told.stderr


def test_help_teaches():
    told = distdnas("--help")
    assert told.returncode == 0
    for word in ("run", "search", "status", "distdnas run configs/quickstart.yaml"):
        assert word in told.stdout
    assert "task" not in [line.split()[1] for line in told.stdout.splitlines() if line.startswith("│ ")]
    told = distdnas("run", "-h")
    for word in ("--cluster", "inline|local|slurm", "--workers", "--run", "--detach", "--json", "Ctrl-C"):
        assert word in told.stdout


def test_version():
    assert distdnas("--version").stdout == f"distdnas {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("run",), "Missing argument"),
        (("run", "x.yaml", "--cluster", "cloud"), "'cloud'"),
        (("run", "x.yaml", "--workers", "0"), "--workers"),
        (("rum", "x.yaml"), "No such command"),
        (("run", "nowhere.yaml"), "nowhere.yaml does not exist; give the path of a YAML file"),
        (("status", "nowhere"), "nowhere is not a run folder"),
        (("prepare", "nowhere.yaml"), "nowhere.yaml does not exist; give the path of a YAML file"),
        (("cost", "nowhere.yaml"), "nowhere.yaml does not exist; give the path of a YAML file"),
        (("data", "nowhere"), "nowhere"),
    ],
)
def test_wrong_use(tmp_path, arguments, fault):
    assert fault in refused(*arguments, cwd=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("section", "keys", "fault"),
    [
        ("search", {"thetta": 0.3}, "unknown key 'search.thetta'; did you mean 'theta'?"),
        ("model", {"blocks": "many"}, "'model.blocks' is 'many' but should be a valid integer"),
    ],
)
def test_a_faulty_config_is_named_by_line_and_key(tmp_path, section, keys, fault):
    config = write_config(tmp_path, **{section: keys})
    line = 1 + [line.split(":")[0].strip() for line in config.read_text().splitlines()].index(next(iter(keys)))
    assert f"Error: {config}, line {line}: {fault}" in refused("run", config)
    assert not (tmp_path / "run").exists()


def raw_file(folder: Path, rows: list[bytes]) -> Path:
    path = folder / "raw.tsv"
    path.write_bytes(b"".join(rows))
    return path


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (None, "raw.tsv does not exist; put it there or correct data.raw."),
        ([], "raw.tsv has no rows; put a file with rows there or correct data.raw."),
        ([*ROWS[:700], b"1\t2\t3\n", *ROWS[700:]], "raw.tsv, line 701: 3 fields, but the schema has 40"),
        ([*ROWS[:9], ROWS[9].replace(b"\t", b"\tx", 1), *ROWS[10:]], "raw.tsv, line 10: I1 is 'x"),
        (ROWS[:1900], "raw.tsv has 1,900 rows, but day 4 needs rows 1,801-2,400; set data.days to 3"),
        (ROWS[:1800], "raw.tsv has 1,800 rows, but day 4 needs rows 1,801-2,400; set data.days to 3"),
    ],
)
@pytest.mark.parametrize("cluster", ["inline", "local"])
def test_faulty_input_is_named_before_anything_is_written(tmp_path, rows, fault, cluster):
    if rows is not None:
        raw_file(tmp_path, rows)
    config = write_config(tmp_path, data={"raw": str(tmp_path / "raw.tsv")})
    sentence = refused("run", config, "--cluster", cluster)
    assert fault in sentence
    assert len(sentence.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_fault_that_only_a_task_can_see_is_the_users_still(tmp_path):
    """A file a day: its start is looked at before, a fault deep inside is found by the day's task."""
    config = write_config_with_a_deep_fault(tmp_path)
    sentence = refused("run", config, "--cluster", "local")
    assert f"Error: parse/day_02 failed: {tmp_path}/day_1, line 60001: 2 fields, but the schema has 40" in sentence
    assert not list((tmp_path / "run/parse/day_02").glob("*.h5"))
    assert not (tmp_path / "run/parse/day_02/result.yaml").exists()


def test_a_run_folder_of_another_config_is_left_alone(tmp_path):
    config = write_config(tmp_path)
    RunFolder.prepare(load_config(config))
    before = (tmp_path / "run/config.yaml").read_bytes()
    write_config(tmp_path, search={"gamma": 0.5})
    sentence = refused("run", config)
    assert f"The run folder {tmp_path}/run belongs to another config (it differs in search.gamma)" in sentence
    assert "pass --run" in sentence
    assert (tmp_path / "run/config.yaml").read_bytes() == before


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/thesis.txt").write_text("years of work")
    assert "exists but is not a run folder; nothing was changed" in refused("run", write_config(tmp_path))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_detach_needs_slurm(tmp_path):
    sentence = refused("run", write_config(tmp_path), "--detach", "--cluster", "local")
    assert "--detach works with --cluster slurm only" in sentence
    assert not (tmp_path / "run").exists()


def test_slurm_needs_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    sentence = refused("run", write_config(tmp_path), "--cluster", "slurm")
    assert "There is no sbatch on this machine" in sentence


def test_status_of_a_run_that_has_not_begun(tmp_path):
    RunFolder.prepare(load_config(write_config(tmp_path)))
    told = distdnas("status", tmp_path / "run")
    assert told.returncode == 0
    assert "0 of 17 tasks done" in told.stdout
    states = json.loads(distdnas("status", tmp_path / "run", "--json").stdout)
    assert {state["state"] for state in states} == {"pending"}


def test_an_unknown_task_is_refused(tmp_path):
    RunFolder.prepare(load_config(write_config(tmp_path)))
    assert "has no task search/day_77" in refused("task", tmp_path / "run", "search", "day_77", "--attempt", 1)
