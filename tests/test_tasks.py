"""What a task does before its work."""

import pytest
import torch

from distdnas_hpc import tasks
from distdnas_hpc.config import load_config
from tests.shrunk import write_config


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_a_task_tells_torch_its_threads_and_whether_to_use_tf32(tmp_path, monkeypatch, tf32_restored, precision):
    told = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    torch.backends.cuda.matmul.allow_tf32 = precision != "tf32"
    path = write_config(tmp_path, cluster={"threads": 3, "device": "cpu"}, optimizer={"precision": precision})
    assert tasks._device(load_config(path)) == torch.device("cpu")
    assert told == [3]
    assert torch.backends.cuda.matmul.allow_tf32 == (precision == "tf32")
