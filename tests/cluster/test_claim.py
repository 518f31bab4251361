"""One command at a time submits the jobs of a run."""

import os
import signal
import subprocess
import sys
import time

import pytest

from distdnas_hpc.cluster.claim import STALE, only_submitter
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import read_yaml, write_yaml
from tests.cluster.small_stages import make_run

CLAIM = "slurm/submitting.yaml"
HOLD = (
    "import sys; from pathlib import Path; from distdnas_hpc.cluster.claim import only_submitter\n"
    "from distdnas_hpc.cluster.run_folder import RunFolder\n"
    "with only_submitter(RunFolder(Path(sys.argv[1]))): print('mine', flush=True); input()"
)


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


@pytest.fixture
def other(run):
    """Another command that submits jobs of the run."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run.path)], **pipes)
    assert process.stdout.readline() == "mine\n"
    yield process
    process.kill()
    process.communicate()


def test_commands_follow_each_other(run):
    for _ in range(2):
        with only_submitter(run) as cut_off:
            assert not cut_off
    assert list((run.path / "slurm").iterdir()) == []


def test_a_second_one_is_refused_until_the_first_has_finished(run, other):
    with (
        pytest.raises(UserError, match=rf"process {other.pid} on .* is submitting jobs of .* right now"),
        only_submitter(run),
    ):
        pass
    other.communicate("\n")
    with only_submitter(run) as cut_off:
        assert not cut_off


def test_what_a_killed_one_leaves_is_taken_over_and_told(run, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    with only_submitter(run) as cut_off:
        assert cut_off
    with only_submitter(run) as cut_off:
        assert not cut_off


def test_one_on_another_host_is_believed_for_some_minutes(run):
    (run.path / "slurm").mkdir()
    write_yaml(run.path / CLAIM, {"host": "elsewhere", "pid": 1, "born": "2"})
    with pytest.raises(UserError, match="process 1 on elsewhere"), only_submitter(run):
        pass
    os.utime(run.path / CLAIM, (0, time.time() - STALE - 1))
    with only_submitter(run) as cut_off:
        assert cut_off
        assert read_yaml(run.path / CLAIM)["pid"] == os.getpid()


def test_one_that_fails_leaves_no_claim(run):
    with pytest.raises(ZeroDivisionError), only_submitter(run):
        raise ZeroDivisionError
    assert not (run.path / CLAIM).exists()
