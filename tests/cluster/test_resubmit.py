"""Which tasks go again, and what they ask for (tests/slurm submits them)."""

import pytest

from distdnas_hpc.cluster import ended_jobs
from distdnas_hpc.cluster.execute import end_attempt
from distdnas_hpc.cluster.request import Request
from distdnas_hpc.cluster.requeue import NEAR_TIME_LIMIT
from distdnas_hpc.cluster.resubmit import Resubmission, Wishes, _after, _requests, _View
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import write_yaml
from tests.cluster.small_stages import make_run, stages_of

PARSE = {"name": "parse", "tasks": ["1", "2", "3"]}
SEARCH = {"name": "search", "tasks": ["1", "2", "3"], "after": ["parse"], "required": 2}
AGGREGATE = {"name": "aggregate", "tasks": ["all"], "after": ["search"]}
TRAIN = {"name": "train", "tasks": ["all"], "after": ["aggregate"]}
SLURM = {"cluster": {"slurm": {"time_minutes": 60, "mem_gb": 8}}}


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", PARSE, SEARCH, AGGREGATE, TRAIN, **SLURM)


def done(run, stage, *tasks):
    for task in tasks:
        about = {"attempt": run.new_attempt(stage, task), "host": "n1", "seconds": 1.0}
        write_yaml(run.task_folder(stage, task) / "result.yaml", {"task": about})


def submitted(run, stage, task, job, **asked):
    number = run.new_attempt(stage, task)
    event = {"event": "submitted", "stage": stage, "tasks": [task], "attempts": [number], "jobs": [job], **asked}
    run.record(event)
    return run.attempt_folder(stage, task, number)


def failed(run, stage, task, job="90", reason="ValueError: it is broken", **asked):
    end_attempt(submitted(run, stage, task, job, **asked), "failed", reason)


def died(run, stage, task, job="90", **asked):
    """Without a word."""
    started = {"host": "n1", "pid": 1, "born": "1", "time": "2026-01-01T00:00:00+00:00"}
    write_yaml(submitted(run, stage, task, job, **asked) / "started.yaml", started)


def chosen(run, alive=(), **wishes):
    view = _View(run, stages_of(run), set(alive))
    return ["/".join(task) for task in view.chosen(stages_of(run), Wishes(**wishes))]


def test_everything_that_is_neither_done_nor_at_work(run):
    done(run, "parse", "1", "2", "3")
    done(run, "search", "1")
    failed(run, "search", "2")
    submitted(run, "search", "3", "91")
    assert chosen(run, alive=["91"]) == ["search/2", "aggregate/all", "train/all"]
    assert chosen(run) == ["search/2", "search/3", "aggregate/all", "train/all"]


def test_nothing_twice(run):
    done(run, "parse", "1", "2", "3")
    for number, (stage, task) in enumerate(
        [*(("search", day) for day in "123"), ("aggregate", "all"), ("train", "all")]
    ):
        submitted(run, stage, task, str(number))
    assert chosen(run, alive=[str(number) for number in range(5)]) == []


def test_only_some_days(run):
    done(run, "parse", "1", "2", "3")
    assert chosen(run, only=["2", "3"]) == ["search/2", "search/3", "aggregate/all", "train/all"]
    assert chosen(run, only=["2"]) == ["search/2"], "one day is not enough for the aggregate"


def test_what_waits_for_left_out_tasks_is_left_out(run):
    done(run, "parse", "1", "2")
    assert chosen(run, only=["1"]) == []


def test_without_the_rest(run):
    done(run, "parse", "1", "2", "3")
    done(run, "search", "1")
    failed(run, "search", "2")
    submitted(run, "search", "3", "91")
    assert chosen(run, alive=["91"], enough=True) == ["aggregate/all", "train/all"]
    assert chosen(run, enough=True) == ["search/2", "search/3", "aggregate/all", "train/all"], "not enough yet"


def test_stages_that_wait(run):
    stages = stages_of(run)
    every = {stage.name for stage in stages}
    assert _after(stages, {"search"}, every) == {"aggregate", "train"}
    assert _after(stages, {"search"}, every - {"aggregate"}) == set(), "what is done waits for nothing"
    assert _after(stages, set(), every) == set()


def requests(run, **wishes):
    view = _View(run, stages_of(run), set())
    return _requests(run, view.status.values(), Wishes(**wishes))


@pytest.fixture
def ends(monkeypatch):
    """How Slurm says jobs ended."""
    known: dict[str, str] = {}
    monkeypatch.setattr(ended_jobs, "_known", known)
    return known


@pytest.mark.parametrize(
    ("end", "asked", "again"),
    [
        ("FAILED", {}, Request(8, 60)),
        ("OUT_OF_MEMORY", {}, Request(16, 60)),
        ("OUT_OF_MEMORY", {"mem_gb": 20.0, "minutes": 90}, Request(32, 90)),  # 4 x 8 is the limit
        ("TIMEOUT", {}, Request(8, 120)),
        ("TIMEOUT", {"mem_gb": 16.0, "minutes": 200}, Request(16, 240)),
        ("NODE_FAIL", {"mem_gb": 16.0, "minutes": 90}, Request(16, 90)),
    ],
)
def test_what_was_too_little_is_doubled_up_to_a_limit(run, ends, end, asked, again):
    ends["90"] = end
    died(run, "search", "1", **asked)
    assert requests(run) == {("search", "1"): again}


def test_a_task_that_always_came_near_its_limit_gets_more_time(run, ends):
    failed(run, "search", "1", reason=f"{NEAR_TIME_LIMIT}; it began 10 times, …")
    assert requests(run) == {("search", "1"): Request(8, 120)}


@pytest.mark.parametrize(
    ("asked", "again"),
    [({"mem_gb": 20.0}, 32.0), ({"mem_gb": 32.0}, 32.0), ({"mem_gb": 48.0}, 48.0), ({"mem_gb": None}, None)],
)
def test_what_was_killed_may_have_run_out_of_memory(run, ends, asked, again):
    """It gets more up to the limit, 4 x 8, and goes again in any case: another reason is possible."""
    ends["90"] = "FAILED"
    died(run, "search", "1", minutes=60, **asked)
    (run.path / "slurm").mkdir()
    (run.path / "slurm/90_0_log.err").write_text("srun: error: n1: task 0: Killed\n")
    assert requests(run) == {("search", "1"): Request(again, 60)}
    assert requests(run, mem_gb=3) == {("search", "1"): Request(3, 60)}


def test_what_had_the_most_is_refused_unless_more_is_given(run, ends):
    ends["90"] = "OUT_OF_MEMORY"
    died(run, "search", "1", mem_gb=32.0, minutes=60)
    with pytest.raises(
        UserError, match=r"search/1 ran out of 32 GB of memory \(give more: --mem-gb\).*Nothing was sub"
    ):
        requests(run)
    assert requests(run, mem_gb=64) == {("search", "1"): Request(64, 60)}


def test_tasks_that_never_began_ask_for_the_usual(run, ends):
    failed(run, "search", "1")
    assert requests(run, mem_gb=64, minutes=5) == {("search", "1"): Request(64, 5)}


def test_sentences():
    many = [("search", str(day)) for day in range(8)]
    did = Resubmission({("search", "1"): Request(16, 90)}, [("aggregate", "all")], 2, [], many, [("train", "all")])
    assert did.sentences() == [
        "Submitted again: search/1 (90 minutes, 16 GB).",
        "Submitted to follow: aggregate/all.",
        "2 queued jobs were replaced, so that they wait for the new ones.",
        "Running or queued already, left alone: search/0, search/1, search/2, search/3, search/4, search/5 and 2 more.",
        "Left out, for lack of what comes before or as you wished: train/all.",
    ]
    assert Resubmission({}, [], 0, [], [], []).sentences() == ["Nothing was submitted.", "Every task is done."]
