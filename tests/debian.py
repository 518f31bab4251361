"""Debian packages that tests need for real: installed as root where they are missing, by one process at a time."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest


class CannotInstallError(Exception):
    """This machine can't have the packages; the text says why."""


def install(packages: Sequence[str], there: Callable[[], object]) -> None:
    """Install packages unless what they are needed for is there.

    Parameters
    ----------
    there : answers that, before and after.

    Raises
    ------
    CannotInstallError : not root, not Debian, or apt-get failed.
    """
    with _alone():
        if there():
            return
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise CannotInstallError(
                f"{', '.join(packages)} must be there, or be installed: run the tests as root on Debian (in a "
                "container, for example)"
            )
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        options = ["-y", "-q", "-o", "DPkg::Lock::Timeout=600"]
        with _no_services_started():
            for command in (["update"], ["install", "--no-install-recommends", *packages]):
                done = subprocess.run(["apt-get", *options, *command], env=environment, capture_output=True, text=True)
                if done.returncode != 0:
                    raise CannotInstallError(f"apt-get {command[0]} failed: {done.stderr.strip()[-500:]}")
        if not there():
            raise CannotInstallError(f"{', '.join(packages)} are installed, yet what they should give is not there")


def require(packages: Sequence[str], there: Callable[[], object]) -> None:
    """Install packages; where they can't be had the test is skipped with the reason, and failed in CI."""
    try:
        install(packages, there)
    except CannotInstallError as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))


@contextmanager
def _alone() -> Iterator[None]:
    """Hold a lock among the test processes of a user: they'd install the same packages twice."""
    with (Path(tempfile.gettempdir()) / f"distdnas-tests-install-{os.geteuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_services_started() -> Iterator[None]:
    """Keep packages from starting their daemons while they are installed; policy-rc.d is Debian's way to say so."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():  # the machine has its own view
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)
