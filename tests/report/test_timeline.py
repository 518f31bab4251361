"""The chart of tasks: bars where and as long as they ran, lanes for what ran side by side."""

import xml.etree.ElementTree as ET
from datetime import datetime, timedelta, timezone

import pytest

from distdnas_hpc.report.parts import TaskTime
from distdnas_hpc.report.timeline import duration, moment, timeline
from tests.report.pages import described, having, texts

START = datetime(2026, 3, 1, 23, 59, tzinfo=timezone.utc)


def task(stage: str, name: str, start: float, end: float) -> TaskTime:
    return TaskTime(stage, name, "node1", START + timedelta(seconds=start), START + timedelta(seconds=end), end - start)


@pytest.fixture
def image():
    tasks = [
        task("search", "day_01", 0, 40),
        task("search", "day_02", 10, 50),
        task("search", "day_03", 40, 60),
        task("train", "dlrm", 60, 100),
    ]
    return ET.fromstring(timeline(tasks))


def test_bars_lie_where_and_as_long_as_tasks_ran(image):
    bars = having(image, "task")
    assert [(float(bar.attrib["x"][:-1]), float(bar.attrib["width"][:-1])) for bar in bars] == [
        (0, 40), (10, 40), (40, 20), (60, 40),
    ]  # fmt: skip
    assert bars[1].findtext("title") == "search/day_02: 40 s on node1"


def test_only_tasks_at_the_same_time_take_another_lane(image):
    first, second, third, _ = (float(bar.attrib["y"]) for bar in having(image, "task"))
    assert first == third < second


def test_stages_are_summed_up(image):
    assert texts(image)[:2] == ["search: 3 tasks, 1 min 40 s", "train: 1 task, 40 s"]
    assert "From 1 March 2026, 23:59 UTC, 1 min 40 s in all." in described(image)


def test_ticks_have_a_unit_that_suits_the_whole(image):
    assert texts(image)[2:] == ["0 s", "20 s", "40 s", "60 s", "80 s"] or texts(image)[2:] == [
        "0 s",
        "25 s",
        "50 s",
        "75 s",
    ]
    hours = ET.fromstring(timeline([task("search", "day_01", 0, 3 * 3600)]))
    assert texts(hours)[1:3] == ["0 h", "1 h"]


def test_a_task_of_no_time_at_all_is_drawn():
    assert len(having(ET.fromstring(timeline([task("merge", "all", 0, 0)])), "task")) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"),
        (7800, "2 h 10 min"), (3599.7, "1 h 0 min"),
    ],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_moments_name_their_zone():
    assert moment(START) == "1 March 2026, 23:59 UTC"
