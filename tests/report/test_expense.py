"""Hours and speed-ups of runs whose task times are known."""

import dataclasses
from datetime import timedelta

import pytest

from distdnas_hpc.report.expense import expense
from distdnas_hpc.report.parts import TaskTime
from distdnas_hpc.report.results import read_results
from tests.report.conftest import START


@pytest.fixture
def results(run):
    return read_results(run.path)


def task(stage: str, name: str, start: float, end: float) -> TaskTime:
    """A task from one hour to another."""
    at = (START + timedelta(hours=hours) for hours in (start, end))
    return TaskTime(stage, name, "node1", *at, 3600 * (end - start))


def with_tasks(results, *tasks):
    return dataclasses.replace(results, tasks=tasks)


def test_days_side_by_side_are_as_many_times_faster(results):
    """Four days of 1,200 rows, two hours each; all at once but for day 4, which waits for a device."""
    days = [task("search", f"day_0{day}", 1, 3) for day in (1, 2, 3)]
    told = expense(with_tasks(results, task("cost", "all", 0, 1), *days, task("search", "day_04", 3, 5)))
    assert (told.days, told.most_at_once) == (4, 3)
    assert (told.search_hours, told.longest_hours, told.wall_hours) == pytest.approx((8, 2, 4))
    assert (told.speedup, told.possible) == pytest.approx((2, 4))
    assert told.device_hours == pytest.approx(9)
    assert told.rows_per_second == pytest.approx(4 * 1200 / (4 * 3600))


def test_training_takes_devices_and_preparing_does_not(results):
    tasks = task("parse", "day_01", 0, 5), task("search", "day_01", 5, 6), task("train", "dlrm", 6, 9)
    assert expense(with_tasks(results, *tasks)).device_hours == pytest.approx(4)


def test_before_the_first_day_is_searched_there_is_nothing_to_tell(results):
    assert expense(with_tasks(results, task("cost", "all", 0, 1))) is None


def test_plain_values_hold_the_speedups(results):
    told = expense(results).to_dict()
    assert told["speedup"] == pytest.approx(1)  # the synthetic run's tasks come one after the other
    assert told["possible_speedup"] == pytest.approx(4)
