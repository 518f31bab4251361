"""The file that tells how far a task is."""

import json
import time

import pytest

from distdnas_hpc.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when told to."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


def told(path):
    return json.loads(path.read_text())


def test_speed_and_time_left_count_from_the_start_of_the_work(clock, tmp_path):
    path = tmp_path / "progress.json"
    progress = Progress(path)
    clock.now += 50  # imports
    progress.start()
    clock.now += 10
    progress.update(0.25, rows=1000, loss=0.5)
    assert {key: told(path)[key] for key in ("fraction", "rows", "rows_per_second", "loss", "eta_seconds")} == {
        **{"fraction": 0.25, "rows": 1000, "loss": 0.5},
        **{"rows_per_second": 100.0, "eta_seconds": 30.0},
    }


@pytest.mark.parametrize(("age", "pause"), [(1, 0.3), (100, 2), (10_000, 30)])
def test_writes_are_a_fiftieth_of_the_age_apart(clock, tmp_path, age, pause):
    path = tmp_path / "progress.json"
    progress = Progress(path)
    clock.now += age
    progress.update(0.1)
    clock.now += pause * 0.99
    progress.update(0.2)
    assert told(path)["fraction"] == 0.1
    clock.now += pause * 0.02
    progress.update(0.3)
    assert told(path)["fraction"] == 0.3


def test_the_end_is_always_told(clock, tmp_path):
    path = tmp_path / "progress.json"
    progress = Progress(path)
    progress.update(0.5)
    progress.update(1.0)
    assert told(path)["fraction"] == 1.0
    assert [file.name for file in tmp_path.iterdir()] == ["progress.json"]


def test_without_a_path_nobody_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Progress(None).update(1.0)
    assert not list(tmp_path.iterdir())


def test_what_an_earlier_attempt_did_does_not_count_as_speed(clock, tmp_path):
    path = tmp_path / "progress.json"
    progress = Progress(path)
    progress.start(0.5, 1000)
    clock.now += 10
    progress.update(0.75, rows=1500)
    assert {key: told(path)[key] for key in ("rows", "rows_per_second", "eta_seconds")} == {
        "rows": 1500,
        "rows_per_second": 50.0,
        "eta_seconds": 10.0,
    }


def test_a_loss_that_is_not_finite_is_left_out_for_json_has_no_word_for_it(tmp_path):
    path = tmp_path / "progress.json"
    Progress(path).update(1.0, loss=float("nan"))
    assert "NaN" not in path.read_text()
    assert told(path)["loss"] is None
