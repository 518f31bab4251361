"""Losses over stretches: their means, and what is wrong with them."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from distdnas_hpc import trajectory
from distdnas_hpc.trajectory import Trajectory

CPU = torch.device("cpu")
STEPS = 10


@pytest.fixture(autouse=True)
def stretches_of_four(monkeypatch):
    monkeypatch.setattr(trajectory, "MOST_ROWS", 3)  # ⌈10/3⌉ = 4


def filled(*losses: float, bound: float = math.inf, into: Trajectory | None = None) -> Trajectory:
    """Add a step of 8 rows for each loss; its second loss is a regularisation ten times as large."""
    made = into or Trajectory(STEPS, ["loss", "regularisation"], CPU, bound=bound)
    first = made.rows // 8 + 1
    for step, loss in enumerate(losses, start=first):
        made.add(step, 8, torch.tensor(loss), torch.tensor(10 * loss), day=1 + step // 6)
    return made


def test_stretches_end_as_told_and_with_the_last_step():
    made = filled(*[1.0] * 10)
    assert [point["step"] for point in made.points] == [4, 8, 10]
    assert (made.rows, made.trouble) == (80, None)


def test_a_long_pass_is_looked_at_every_hundred_steps(monkeypatch):
    assert trajectory.LONGEST_STRETCH == 100
    monkeypatch.setattr(trajectory, "LONGEST_STRETCH", 2)
    assert [point["step"] for point in filled(*[1.0] * 10).points] == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
@pytest.mark.parametrize("step", [1, 6, 10])
def test_the_step_of_a_loss_that_is_not_finite_is_known_exactly(step, loss):
    losses = [0.5] * 10
    losses[step - 1 :] = [loss] * (10 - step + 1)  # and all after it, as it is
    made = filled(*losses)
    assert made.trouble == (step, 1 + step // 6, f"loss is {loss}")


def test_is_found_no_later_than_at_the_end_of_the_stretch():
    made = filled(0.5, math.nan, 0.5)
    assert made.trouble is None
    filled(0.5, into=made)
    assert made.trouble.step == 2


def test_a_look_finds_it_at_once():
    made = filled(0.5, math.nan)
    made.look()
    assert made.trouble.step == 2


def test_a_stretch_above_the_bound_is_trouble_from_its_first_high_step_on():
    assert filled(1, 1, 1, 1, 1, 9, 9, 9, bound=5).trouble == (6, 2, "loss is 9")


def test_one_high_step_is_no_trouble_if_the_mean_is_not_high_nor_is_the_regularisation():
    assert filled(1, 1, 9, 1, bound=5).trouble is None


def test_a_look_does_not_judge_an_unfinished_stretch():
    """Else the end of a search would depend on when checkpoints are written."""
    made = filled(9, bound=5)
    made.look()
    assert made.trouble is None
    assert filled(1, 1, 1, into=made).trouble is None


@pytest.mark.parametrize("done", range(1, 10))
def test_goes_on_from_a_state_as_if_nothing_had_happened(done):
    losses = [1 / 3, 0.1, 0.7, 0.2, 0.9, 1e-3, 0.4, 0.6, 0.8, 0.5]
    resumed = Trajectory(STEPS, ["loss", "regularisation"], CPU)
    resumed.load_state_dict(filled(*losses[:done]).state_dict())
    filled(*losses[done:], into=resumed)
    whole = filled(*losses)
    for point, expected in zip(resumed.points, whole.points, strict=True):
        assert all(point[name] == expected[name] for name in ("step", "loss", "regularisation"))
    assert resumed.rows == whole.rows


def test_a_pause_does_not_count_as_time_of_training(monkeypatch):
    now = 0.0
    monkeypatch.setattr(trajectory.time, "perf_counter", lambda: now)
    first = filled(1.0)
    now = 5.0
    state = first.state_dict()
    now = 1000.0
    second = Trajectory(STEPS, ["loss", "regularisation"], CPU)
    second.load_state_dict(state)
    now = 1003.0
    filled(1, 1, 1, into=second)
    assert second.seconds == 8
    assert second.points[0]["rows_per_second"] == 4 * 8 / 8


def test_memory_is_the_peak_of_this_process(tmp_path):
    hungry = torch.ones(50_000_000)  # 200 MB
    made = filled(*[1.0] * 10)
    made.write(tmp_path / "t.parquet", pa.schema([("step", pa.int32()), ("memory_bytes", pa.int64())]))
    told = pq.read_table(tmp_path / "t.parquet")["memory_bytes"].to_pylist()
    assert all(4 * len(hungry) < peak < 1e12 for peak in told)
    assert told == sorted(told)
