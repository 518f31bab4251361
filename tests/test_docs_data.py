"""docs/data.md: its commands work as written, on few real rows; and Avazu goes through all stages."""

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from distdnas_hpc.storage import read_yaml
from tests.shrunk import ROOT, distdnas

DOCS = (ROOT / "docs/data.md").read_text()
COMMANDS = [
    line.partition("#")[0].split()
    for block in re.findall(r"```sh\n(.*?)```", DOCS, re.S)
    for line in block.splitlines()
]
AVAZU = (ROOT / "tests/data/avazu_400.csv").read_text().splitlines(keepends=True)


def avazu_of_ten_days() -> str:
    """The 400 rows, all of one hour, as if 40 came on each day from 21 to 30 October."""
    rows = (line.replace(",14102100,", f",1410{21 + i // 40}{i % 24:02d},") for i, line in enumerate(AVAZU[1:]))
    return AVAZU[0] + "".join(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A working directory with the configs, and the raw files that they name."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "configs", folder / "configs")
    rows = gzip.decompress((folder / "configs/data/criteo_kaggle_7200.tsv.gz").read_bytes()).splitlines(keepends=True)
    (folder / "criteo_terabyte").mkdir()
    for day in range(24):
        part = b"".join(rows[day * 100 : (day + 1) * 100])
        (folder / f"criteo_terabyte/day_{day}.gz").write_bytes(gzip.compress(part))
    (folder / "avazu").mkdir()
    (folder / "avazu/train.gz").write_bytes(gzip.compress(avazu_of_ten_days().encode()))
    return folder


def test_commands_work_in_the_order_given(folder):
    assert len(COMMANDS) == 5
    for command in COMMANDS:
        here = ["--cluster", "inline"] if command[1] == "prepare" else []  # no Slurm in this test
        told = distdnas(*command[1:], *here, cwd=folder)
        assert told.returncode == 0, f"{' '.join(command)}: {told.stderr}"
        assert told.stdout
    avazu = json.loads(told.stdout)
    assert (avazu["rows"], [day["rows"] for day in avazu["days"]]) == (400, [40] * 10)
    assert [column["name"] for column in avazu["dense"]] == ["C15", "C16"]
    assert len(avazu["sparse"]) == 19


def test_avazu_goes_through_all_stages_by_its_config_alone(folder):
    tree = yaml.safe_load((folder / "configs/avazu.yaml").read_text())
    tree["run"] = "runs/small"
    tree["model"] = {"blocks": 2, "dim_d": 16, "dim_s": 4, "n_s": 4, "merged": 2, "heads": 2}
    tree["model"] |= {"baseline_width": 16, "baseline_layers": 1}
    tree["cost"] = {"samples": 100, "trees": 10, "latency_weight": 0}
    tree["search"] |= {"days": "1-2", "batch_size": 8, "warmup_steps": 2}
    tree["train"] = {"days": "1-3", "test_day": 4, "batch_size": 8}
    (folder / "small.yaml").write_text(yaml.safe_dump(tree))
    told = distdnas("run", "small.yaml", "--cluster", "inline", cwd=folder)
    assert told.returncode == 0, told.stderr
    assert (folder / "runs/small/report.html").is_file()
    tables = read_yaml(folder / "runs/small/prepared/manifest.yaml")["sparse"]
    assert tables["device_ip"]["dropped"] > 20, "values seen once: min_count is 2"


def test_files_that_the_page_names_are_what_a_run_leaves(folder):
    """Uses the run of the commands above."""
    run = folder / "runs/avazu"
    names = set(re.findall(r"RUN/([\w/.]+\.(?:h5|npy|yaml))", DOCS))
    assert {name for name in names if not (run / name).is_file()} == {"parse/day_01/counts.h5"}
