"""Fixtures of the tests of data."""

import shutil
import subprocess

import pytest


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes, with what gives it another size in kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can't be mounted here: that needs root")
    yield folder, lambda size: subprocess.run(["mount", "-o", f"remount,size={size}k", folder], check=True)
    subprocess.run(["umount", folder], check=True)
