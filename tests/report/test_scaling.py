"""Throughput of whole searches, and the line of proportion."""

import dataclasses
import xml.etree.ElementTree as ET
from datetime import timedelta

import pytest

from distdnas_hpc.report.parts import TaskTime
from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.scaling import scaling, throughputs
from tests.report.conftest import START
from tests.report.pages import described, having


def searched(results, at_once: int, name: str):
    """The run, its four days of 1,200 rows searched in an hour each, so many at a time."""
    tasks = []
    for index in range(4):
        start = START + timedelta(hours=index // at_once)
        tasks.append(TaskTime("search", f"day_0{index + 1}", "n", start, start + timedelta(hours=1), 3600.0))
    return dataclasses.replace(results, run=results.run.parent / name, tasks=tuple(tasks))


@pytest.fixture
def runs(run):
    results = read_results(run.path)
    return [searched(results, 4, "four"), searched(results, 1, "one"), searched(results, 2, "two")]


def test_four_at_a_time_are_four_times_as_fast(runs):
    measured = throughputs(runs)
    assert [(each.run, each.tasks) for each in measured] == [("one", 1), ("two", 2), ("four", 4)]
    assert [each.rows_per_second for each in measured] == pytest.approx([1200 / 3600, 2400 / 3600, 4800 / 3600])


def test_what_is_in_proportion_lies_on_the_line(runs):
    image = ET.fromstring(scaling(throughputs(runs)))
    (line,) = having(image, "threshold")
    end = tuple(map(float, line.attrib["points"].split()[1].split(",")))
    last = having(image, "point")[-1]
    assert (float(last.attrib["cx"]), float(last.attrib["cy"])) == pytest.approx(end, abs=0.1)
    assert "4 at a time 1" in described(image)


def test_a_run_without_a_searched_day_is_left_out(runs):
    assert throughputs([dataclasses.replace(runs[0], tasks=())]) == []
