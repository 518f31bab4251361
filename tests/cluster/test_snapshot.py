"""The code that jobs run stays what it was when they were submitted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import distdnas_hpc
from distdnas_hpc.cluster import snapshot


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in the place of ours."""
    folder = tmp_path / "distdnas_hpc"
    (folder / "cluster").mkdir(parents=True)
    (folder / "__init__.py").write_text("WORD = 'old'\n")
    (folder / "cluster/__init__.py").touch()
    monkeypatch.setattr(snapshot, "PACKAGE", folder)
    return folder


def test_a_later_change_of_the_code_changes_no_copy(package, tmp_path):
    run = tmp_path / "run"
    old = snapshot.take_snapshot(run)
    (package / "__init__.py").write_text("WORD = 'new'\n")
    new = snapshot.take_snapshot(run)
    words = [(each / "distdnas_hpc/__init__.py").read_text() for each in (old, new)]
    assert words == ["WORD = 'old'\n", "WORD = 'new'\n"]
    assert sorted(run.rglob("cluster")) == sorted([old / "distdnas_hpc/cluster", new / "distdnas_hpc/cluster"])


def test_equal_code_has_one_copy_wherever_it_is_compiled(package, tmp_path):
    run = tmp_path / "run"
    first = snapshot.take_snapshot(run)
    before = first.stat().st_mtime_ns
    (package / "__pycache__").mkdir()
    (package / "__pycache__/x.pyc").touch()
    assert snapshot.take_snapshot(run) == snapshot.snapshot_folder(run) == first
    assert first.stat().st_mtime_ns == before
    assert [path.name for path in (run / "code").iterdir()] == [first.name]


def test_a_name_or_a_byte_more_is_other_code(package, tmp_path):
    names = {snapshot.snapshot_folder(tmp_path)}
    (package / "__init__.py").write_text("WORD = 'old'\n#")
    names.add(snapshot.snapshot_folder(tmp_path))
    (package / "__init__.py").rename(package / "other.py")
    names.add(snapshot.snapshot_folder(tmp_path))
    assert len(names) == 3


def test_a_copy_is_what_python_imports_where_jobs_run(tmp_path):
    code = snapshot.take_snapshot(tmp_path / "run")
    told = subprocess.run(
        [sys.executable, "-c", "import distdnas_hpc.pipeline as p; print(p.__file__)"],
        cwd=code, env={**os.environ, "PYTHONPATH": str(code)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(told.stdout.strip()) == code / "distdnas_hpc/pipeline.py"
    shutil.rmtree(code)
    assert Path(distdnas_hpc.__file__).is_file()
