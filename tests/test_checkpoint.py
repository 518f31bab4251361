"""Checkpoint files: whole, few, found again, and passed over when damaged."""

import collections
import logging
import shutil
import socket
import subprocess
import sys

import pytest
import torch

from distdnas_hpc.checkpoint import Checkpoints
from distdnas_hpc.errors import UserError

IDENTITY = {"config": "c0ffee", "seed": 1}


def checkpoints(folder, **changes) -> Checkpoints:
    return Checkpoints(folder / "checkpoints", IDENTITY | changes)


def write(folder, *steps: int) -> None:
    for step in steps:
        checkpoints(folder).write(step, {"weight": torch.full((1000,), float(step))})


def found(folder) -> int | None:
    newest = checkpoints(folder).newest()
    if newest is None:
        return None
    step, state = newest
    assert torch.equal(state["weight"], torch.full((1000,), float(step)))
    return step


def test_gives_back_what_was_written_bit_for_bit(tmp_path):
    state = {
        "tensors": [torch.randn(3, 4), torch.tensor([float("inf"), -0.0]), torch.arange(5, dtype=torch.int64)],
        "plain": {"float": 0.1 + 0.2, "none": None, "words": ["α", "β"], "pairs": [(1, 2)], 7: True},
    }
    checkpoints(tmp_path).write(12, state)
    step, again = checkpoints(tmp_path).newest()
    assert step == 12
    assert again["plain"] == state["plain"]
    assert all(torch.equal(a, b) for a, b in zip(again["tensors"], state["tensors"], strict=True))


def test_there_is_none_at_first(tmp_path):
    assert found(tmp_path) is None
    assert not (tmp_path / "checkpoints").exists()


def test_the_last_two_are_kept(tmp_path):
    write(tmp_path, 9, 10, 11, 200)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step_00000011.pt",
        "step_00000200.pt",
    ]
    assert found(tmp_path) == 200


def damage(path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "cut":
        del content[len(content) // 2 :]
    elif how == "empty":
        content.clear()
    elif how == "a bit of a weight":
        content[len(content) // 2] ^= 1
    elif how == "zeros at the end":
        content[-200:] = bytes(200)
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut", "empty", "a bit of a weight", "zeros at the end"])
def test_a_damaged_one_is_passed_over_with_a_word(tmp_path, how, caplog):
    write(tmp_path, 10, 20)
    damage(tmp_path / "checkpoints/step_00000020.pt", how)
    with caplog.at_level(logging.WARNING):
        assert found(tmp_path) == 10
    assert "step_00000020.pt is damaged" in caplog.text
    damage(tmp_path / "checkpoints/step_00000010.pt", how)
    assert found(tmp_path) is None


def test_a_torn_write_leaves_the_ones_before(tmp_path):
    write(tmp_path, 10, 20)
    with pytest.raises(AttributeError):  # a function of a function can't be pickled: fails in the middle of the file
        checkpoints(tmp_path).write(30, {"weight": torch.zeros(1000), "fault": lambda: None})
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    assert found(tmp_path) == 20


def test_what_a_killed_writer_left_is_removed(tmp_path):
    write(tmp_path, 10)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    leftover = tmp_path / f"checkpoints/.step_00000020.pt.{socket.gethostname()}-{dead.pid}-0123456789ab.tmp"
    leftover.write_text("half")
    write(tmp_path, 30)
    assert not leftover.exists()


class Slow:
    """A value that says when it is being written, and waits until it may be."""

    def __init__(self, meanwhile):
        self.meanwhile = meanwhile

    def __reduce__(self):
        self.meanwhile()
        return collections.OrderedDict, ()


def test_a_twin_that_writes_as_well_does_no_harm(tmp_path):
    """Seen: the second took the file that the first was writing for a leftover of a killed one."""
    meanwhile = Slow(lambda: write(tmp_path, 20, 40))
    checkpoints(tmp_path).write(30, {"weight": torch.full((1000,), 30.0), "slow": meanwhile})
    assert found(tmp_path) == 40
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_a_twin_that_has_its_result_and_removes_the_folder_does_no_harm(tmp_path):
    calls = []

    def remove_once():
        if not calls:
            shutil.rmtree(tmp_path / "checkpoints")
        calls.append(1)

    checkpoints(tmp_path).write(30, {"weight": torch.full((1000,), 30.0), "slow": Slow(remove_once)})
    assert found(tmp_path) == 30


@pytest.mark.parametrize(
    ("changes", "key"), [({"config": "beef"}, "config"), ({"seed": 2}, "seed"), ({"data": 3}, "data")]
)
def test_one_of_something_else_is_refused(tmp_path, changes, key):
    write(tmp_path, 10)
    with pytest.raises(UserError, match=rf"step_00000010.pt belongs to something else \(it differs in {key}\).*remove"):
        checkpoints(tmp_path, **changes).newest()
