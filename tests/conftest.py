"""Fixtures that several folders use."""

import shutil
import sys
import threading

import pytest


def pytest_runtest_setup():
    """Let a test draw the same numbers from torch each time: bounds are tight, and how sums round depends on them."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def new_threads():
    """Gives the names of the threads that live and did not when the test began: earlier tests' may end later."""
    before = set(threading.enumerate())
    return lambda: [thread.name for thread in threading.enumerate() if thread not in before]


@pytest.fixture(scope="module")
def one_thread():
    """Give torch one thread: with more, the order of sums and so their last bits may differ."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tf32_restored():
    """Set torch's switch for TF32, one for the whole process, back afterwards."""
    import torch

    before = torch.backends.cuda.matmul.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32 = before


@pytest.fixture
def torchs_operations(monkeypatch):
    """Let networks compute on CPUs as they do on any other device, in operations that torch's counters know."""
    from distdnas_hpc.nn import products, vector_products

    monkeypatch.setattr(products, "_ONEDNN", False)
    monkeypatch.setattr(vector_products, "has_kernels", lambda tensor: False)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """The folder of a shrunk quickstart with SMALL_BATCHES, run to its end."""
    from tests.shrunk import SMALL_BATCHES, distdnas, write_config

    folder = tmp_path_factory.mktemp("finished")
    told = distdnas("run", write_config(folder, **SMALL_BATCHES), "--cluster", "inline")
    assert told.returncode == 0, told.stderr
    return folder / "run"


@pytest.fixture
def unfinished(finished_run, tmp_path):
    """Gives a copy of that run, and its config, in which a task was never begun."""
    from tests.shrunk import SMALL_BATCHES, write_config

    def copy(stage: str, task: str):
        run = shutil.copytree(finished_run, tmp_path / "run")
        shutil.rmtree(run / stage / task)
        return run, write_config(tmp_path, **SMALL_BATCHES)

    return copy
