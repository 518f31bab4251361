"""A real Slurm for the tests of this folder, all marked `slurm`; skipped where there can be none, failed so in CI."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.debian import CannotInstallError
from tests.slurm.one_machine import OneMachineSlurm, install_packages

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slurm)


@pytest.fixture(scope="session")
def slurm_of_the_session() -> Iterator[OneMachineSlurm]:
    """Start Slurm once; its commands and submitit find it through the environment of this process."""
    try:
        install_packages()
    except CannotInstallError as reason:
        if os.environ.get("CI"):
            pytest.fail(f"no Slurm for the tests: {reason}", pytrace=False)
        pytest.skip(f"no Slurm for the tests: {reason}")
    with pytest.MonkeyPatch.context() as patch, OneMachineSlurm() as cluster:
        for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_", "SQUEUE_", "SUBMITIT_"))]:
            patch.delenv(name)
        for name, value in cluster.env.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(ROOT))  # jobs import what the tests submit
        yield cluster


@pytest.fixture
def slurm(slurm_of_the_session) -> Iterator[OneMachineSlurm]:
    """Give a test the session's Slurm with an empty queue, and leave it so."""
    yield slurm_of_the_session
    slurm_of_the_session.clear()
