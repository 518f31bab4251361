"""Every command of the README works as written; those for Criteo Terabyte are in test_docs_reproducing.py."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.shrunk import ROOT, distdnas

README = (ROOT / "README.md").read_text()
HERE = re.sub(r"\n## Criteo Terabyte.*?(?=\n## )", "", README, flags=re.DOTALL)  # that: test_docs_reproducing.py
BLOCKS = re.findall(r"```sh\n(.*?)```", HERE, flags=re.DOTALL)
COMMANDS = [line.partition("#")[0].split() for block in BLOCKS for line in block.splitlines()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A working directory like a fresh clone, with the configs alone."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "configs", folder / "configs")
    return folder


def test_there_are_commands():
    assert len(COMMANDS) >= 8
    assert all(command[0] == "distdnas" for command in COMMANDS)


def test_commands_on_this_machine_work_in_the_order_given(checkout):
    """The full quickstart runs once; the commands after it find its results."""
    for command in [command for command in COMMANDS if "slurm" not in command]:
        told = distdnas(*command[1:], cwd=checkout)
        assert told.returncode == 0, f"{' '.join(command)}: {told.stderr}"
        assert told.stdout
    assert (checkout / "runs/quickstart/report.html").is_file()


def test_slurm_commands_differ_from_tested_ones_by_the_config_alone():
    """tests/slurm runs these two with a shrunk config on a real Slurm."""
    slurm = [command[3:] for command in COMMANDS if "slurm" in command]
    assert slurm == [["--cluster", "slurm"], ["--cluster", "slurm", "--detach"]]


def test_make_targets_exist():
    """`make quickstart` and `make test` are run for real by .ci/run, whose second part this is."""
    named = set(re.findall(r"^    make (\w+)$", README, flags=re.MULTILINE))
    assert named == {"quickstart", "test"}
    for target in named:
        told = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, env=os.environ)
        assert told.returncode == 0, told.stderr


def test_files_that_the_readme_names_exist(checkout):
    names = re.findall(r"`((?:configs|distdnas_hpc|tests)/[\w./]+|[A-Z]+\.md|constraints\.txt)`", README)
    assert len(names) > 5
    missing = [name for name in names if not (ROOT / name).exists()]
    assert not missing


def test_a_run_leaves_what_the_readme_says(checkout):
    """Uses the run of the commands above."""
    run = checkout / "runs/quickstart"
    listed = README.split("## What a run leaves")[1].split("##")[0]
    paths = re.findall(r"RUN/([\w/.]+)", listed)
    for path in paths:
        assert (run / path.replace("STAGE/TASK", "search/day_01")).exists(), path
