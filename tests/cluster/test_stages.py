"""Stages: order, and when one counts as finished."""

import pytest

from distdnas_hpc.cluster.stages import Stage, in_order
from tests.cluster.small_stages import deed, make_run


def stage(name, *after, tasks=("1",), required=None):
    return Stage(name, tasks, deed, after, required)


def test_each_stage_comes_after_those_it_waits_for():
    stages = [stage("report", "train"), stage("train", "search", "cost"), stage("search", "cost"), stage("cost")]
    assert [each.name for each in in_order(stages)] == ["cost", "search", "train", "report"]


def test_stages_in_order_stay_as_they_are():
    stages = [stage("a"), stage("b"), stage("c", "a"), stage("d", "b")]
    assert list(in_order(stages)) == stages


@pytest.mark.parametrize("stages", [[stage("a", "b"), stage("b", "a")], [stage("a", "nowhere")]])
def test_a_circle_or_an_unknown_name_is_refused(stages):
    with pytest.raises(ValueError, match=r"wait for each other or for unknown ones: \['a'"):
        list(in_order(stages))


def test_finished_when_enough_tasks_have_a_result(tmp_path):
    run = make_run(tmp_path / "run")
    all_three, two = stage("s", tasks=("1", "2", "3")), stage("s", tasks=("1", "2", "3"), required=2)
    told = []
    for task in ("1", "2", "3"):
        folder = run.task_folder("s", task)
        folder.mkdir(parents=True)
        (folder / "result.yaml").touch()
        told.append((all_three.missing(run), all_three.finished(run), two.finished(run)))
    assert told == [(["2", "3"], False, False), (["3"], False, True), ([], True, True)]
