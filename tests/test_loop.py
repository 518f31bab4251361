"""A small loop on noise, interrupted at every step and in the middle of one: it ends as if nothing had happened."""

import logging
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from distdnas_hpc import loop as loop_module
from distdnas_hpc import trajectory as trajectory_module
from distdnas_hpc.checkpoint import Checkpoints
from distdnas_hpc.cluster.execute import Stopped, stop_on_signals
from distdnas_hpc.config import Checkpoint
from distdnas_hpc.errors import DivergedError
from distdnas_hpc.loop import Loop, diagnosed
from distdnas_hpc.machine import arithmetic
from distdnas_hpc.trajectory import Trajectory

STEPS = 8
NEVER = Checkpoint(minutes=None)
EVERY_3 = Checkpoint(minutes=None, steps=3)


@pytest.fixture(autouse=True)
def stretches_of_two(monkeypatch):
    monkeypatch.setattr(trajectory_module, "MOST_ROWS", STEPS // 2)


class Noisy(nn.Module):
    """Weights that take in torch's and a generator's noise, so that every state plays a part."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x):
        self.calls += 1
        return self.inner(x).square().mean()


@diagnosed
def run(folder: Path, settings=EVERY_3, at=None, broken_from=99, suspect=None):
    """Run the loop; `at(step)` is called in the middle of each step, and from one on the loss is infinite."""
    torch.manual_seed(1)
    model = Noisy()
    own = torch.Generator().manual_seed(2)
    adam = torch.optim.Adam(model.parameters())
    trajectory = Trajectory(STEPS, ["loss"], torch.device("cpu"))
    checkpoints = Checkpoints(folder / "checkpoints", {})
    seen = []
    with Loop(STEPS, checkpoints, settings, model, trajectory, {"adam": adam, "own": own}, suspect) as loop:
        loop.resume()
        for step in loop.steps():
            adam.zero_grad()
            loss = model(torch.randn(2, 4) + torch.randn(2, 4, generator=own))
            if model.calls >= broken_from:
                loss = loss * float("inf")
            loss.backward()
            if at:
                at(step)
            adam.step()
            trajectory.add(step, 2, loss.detach(), day=1)
            seen.append(step)
    return {name: tensor.tolist() for name, tensor in model.state_dict().items()}, seen, trajectory.points[-1]["loss"]


@pytest.fixture
def whole(tmp_path):
    weights, seen, loss = run(tmp_path / "whole", NEVER)
    assert seen == list(range(1, STEPS + 1))
    return weights, loss


def written(folder: Path) -> list[int]:
    return [int(path.stem.removeprefix("step_")) for path in sorted((folder / "checkpoints").glob("*.pt"))]


def signal_at(step: int, number: int = signal.SIGTERM):
    return lambda now: os.kill(os.getpid(), number) if now == step else None


@pytest.fixture(autouse=True)
def folders(tmp_path):
    (tmp_path / "whole").mkdir()


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_signal_in_the_middle_of_a_step_waits_for_its_end_and_nothing_is_lost(tmp_path, whole, step):
    with stop_on_signals(), pytest.raises(Stopped):
        run(tmp_path, NEVER, at=signal_at(step))
    assert written(tmp_path) == [step]
    weights, seen, loss = run(tmp_path, NEVER)
    assert seen == list(range(step + 1, STEPS + 1))
    assert (weights, loss) == whole


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_an_end_without_a_word_costs_the_steps_since_the_last_checkpoint(tmp_path, whole, step):
    class PowerCutError(BaseException):
        pass

    def cut(now):
        if now == step:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        run(tmp_path, at=cut)
    last = (step - 1) // 3 * 3
    assert written(tmp_path) == [last for last in (3, 6) if last < step]
    weights, seen, loss = run(tmp_path)
    assert seen == list(range(last + 1, STEPS + 1))
    assert (weights, loss) == whole


def test_again_and_again(tmp_path, whole):
    for step in (2, 3, 5, 8):
        with stop_on_signals(), pytest.raises(Stopped):
            run(tmp_path, at=signal_at(step, signal.SIGUSR2))
    weights, seen, loss = run(tmp_path)
    assert seen == []
    assert (weights, loss) == whole


@pytest.mark.parametrize(
    ("changes", "word"),
    [({}, None), ({"threads": 99}, r"threads \d+, now 99"), ({"gpu": "A5000"}, "gpu None, now A5000")],
)
def test_going_on_where_sums_may_round_otherwise_is_told(tmp_path, monkeypatch, caplog, changes, word):
    with stop_on_signals(), pytest.raises(Stopped):
        run(tmp_path, NEVER, at=signal_at(4))
    elsewhere = arithmetic(torch.device("cpu")) | changes
    monkeypatch.setattr(loop_module, "arithmetic", lambda device: elsewhere)
    with caplog.at_level(logging.WARNING):
        _, seen, _ = run(tmp_path, NEVER)
    assert seen == [5, 6, 7, 8]
    if word is None:
        assert not caplog.records
    else:
        assert re.search(rf"comes from elsewhere \({word}\).*may differ in its last bits", caplog.text)


def test_the_arithmetic_of_this_machine_is_named():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    two = arithmetic(torch.device("cpu"))
    torch.set_num_threads(before)
    assert two["threads"] == 2
    assert two["device"] == "cpu"
    assert all(two[key] for key in ("processor", "vectors", "torch"))


def test_checkpoints_come_by_the_clock_too(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("distdnas_hpc.loop.time.monotonic", lambda: clock[0])

    def tick(step):
        clock[0] += 40 if step > 1 else 0

    run(tmp_path, Checkpoint(minutes=1), at=tick)
    assert written(tmp_path) == [5, 7]  # 80 s after step 3, 160 s after 5, 240 s after 7; two are kept


@pytest.mark.parametrize("stretch_offset", [0, 1])
@pytest.mark.parametrize("settings", [NEVER, EVERY_3, Checkpoint(minutes=None, steps=1)])
def test_divergence_ends_at_the_step_with_the_module_and_the_last_good_checkpoint(tmp_path, settings, stretch_offset):
    bad = 5 + stretch_offset
    seen = []
    with pytest.raises(DivergedError) as caught:
        run(tmp_path, settings, broken_from=bad, at=seen.append)
    last = {None: 0, 3: 3, 1: bad - 1}[settings.steps]
    begin = f"the checkpoint of step {last}" if last else "the start"
    assert f"LogLoss diverged at step {bad} (day 1): loss is inf; all outputs are finite; the largest" in str(
        caught.value
    )
    assert "is that of module inner" in str(caught.value)
    assert f"All was well at {begin}." in str(caught.value)
    assert written(tmp_path) == [
        step for step in (last - 1, last) if step > 0 and (step == last or settings.steps == 1)
    ]
    assert max(seen) <= bad + 1  # the stretch's end
    assert seen[-(bad - last) :] == list(range(last + 1, bad + 1))  # the second look


def test_a_checkpoint_is_not_written_of_weights_that_are_broken_though_the_loss_is_fine_yet(tmp_path):
    """The last update breaks them: step 6's loss is the first to tell."""

    class Breaks(torch.optim.Adam):
        def step(self):
            super().step()
            if int(self.state[self.param_groups[0]["params"][0]]["step"]) == 5:
                with torch.no_grad():
                    self.param_groups[0]["params"][0][0, 0] = float("nan")

    original, torch.optim.Adam = torch.optim.Adam, Breaks
    try:
        with pytest.raises(DivergedError, match=r"step 6 .* not finite is that of module inner.*checkpoint of step 4"):
            run(tmp_path, Checkpoint(minutes=None, steps=1))
    finally:
        torch.optim.Adam = original
    assert written(tmp_path) == [3, 4]


def test_the_same_command_diverges_again_at_the_same_step(tmp_path):
    sentences = []
    for _ in range(2):
        with pytest.raises(DivergedError) as caught:
            run(tmp_path, broken_from=7)
        sentences.append(str(caught.value))
    assert sentences[0] == sentences[1]
    assert written(tmp_path) == [3, 6]
