"""What a terminal shows of a run, and what a log file gets."""

import io
import os
import pty
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from distdnas_hpc.cluster.display import Watch, draw, progress_shown, watch_run
from distdnas_hpc.cluster.local import run_inline
from distdnas_hpc.cluster.status import TaskStatus
from tests.cluster.small_stages import make_run, stages_of, start_task, wait_until


def shown(*statuses: TaskStatus, width: int = 100, **options) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(draw(statuses, **options))
    return [re.sub(r"[━╸╺\s]+", " ", line).strip() for line in console.file.getvalue().splitlines()]


def running(task: str, **told) -> TaskStatus:
    return TaskStatus("search", task, "running", 1, **told)


def test_a_running_task_has_speed_loss_and_time_left():
    told = running("day_01", fraction=0.25, rows_per_second=27_123.4, loss=0.12345, eta_seconds=5400)
    assert shown(told) == ["search/day_01 running 27,123 rows/s loss 0.1235 1 h 30 min left"]


def test_a_run_of_a_study_that_is_done_or_waits_has_one_line():
    def told(run, stage, state, attempt=1):
        return TaskStatus(f"study/{run}/{stage}", "all", state, attempt, seconds=2.0 if state == "done" else None)

    statuses = [
        TaskStatus("cost", "all", "done", 1, seconds=3.0),
        *(told("fresh_s1", stage, "done") for stage in ("search", "train")),
        *(told("fresh_s2", stage, state) for stage, state in (("search", "done"), ("train", "running"))),
        *(told("supernet_s1", stage, "pending", 0) for stage in ("aggregate", "train")),
    ]
    assert shown(*statuses) == [
        "cost done 3.0 s",
        "fresh_s1 done 2 tasks 4.0 s",
        "fresh_s2/search done 2.0 s",
        "fresh_s2/train/all running",
        "supernet_s1 pending 2 tasks",
    ]
    assert len(shown(*statuses, every=True)) == len(statuses)


def test_a_wide_terminal_has_room_for_percent_attempt_node_memory_and_the_time_so_far():
    told = TaskStatus(
        "search", "day_01", "running", 2, host="n7", seconds=1800.0, fraction=0.256, rows_per_second=27_123.4,
        loss=0.12345, eta_seconds=5400, memory_bytes=3_210_000_000,
    )  # fmt: skip
    (line,) = shown(told, width=130)
    assert line == (
        "search/day_01 25 % running attempt 2 n7 27,123 rows/s loss 0.1235 3.2 GB 30 min 00 s 1 h 30 min left"
    )


def test_every_task_has_a_line_if_asked_for():
    done = [TaskStatus("parse", f"day_{day:02d}", "done", 1, seconds=30.0) for day in range(1, 41)]
    assert shown(*done, every=True) == [f"parse/day_{day:02d} done 30.0 s" for day in range(1, 41)]


def test_a_finished_and_a_waiting_stage_take_a_line_each():
    done = [TaskStatus("parse", f"day_{day:02d}", "done", 1, seconds=30.0) for day in range(1, 25)]
    waiting = [TaskStatus("train", model, "pending", 0) for model in ("distdnas", "dlrm")]
    assert shown(*done, *waiting) == ["parse done 24 tasks 12 min 00 s", "train pending 2 tasks"]


def test_a_stage_at_work_shows_each_task():
    lines = shown(
        TaskStatus("search", "a", "done", 1, seconds=4.2), running("b"), TaskStatus("search", "c", "pending", 0)
    )
    assert lines == ["search/a done 4.2 s", "search/b running", "search/c pending"]


def test_of_a_thousand_tasks_those_at_work_are_shown_and_the_others_counted():
    tasks = [TaskStatus("search", f"{n}", "done", 1) for n in range(700)]
    tasks += [TaskStatus("search", f"{n}", "pending", 0) for n in range(700, 998)]
    lines = shown(*tasks, running("998"), TaskStatus("search", "999", "failed", 1, reason="it broke"))
    assert lines == ["search/998 running", "search/999 failed", "search 700 of 1000 done", "search/999: it broke"]


def test_why_a_task_went_wrong_stands_below():
    lost = TaskStatus("search", "day_02", "lost", 1, reason="its job 7_1 died without a word; Slurm says OUT_OF_MEMORY")
    cancelled = TaskStatus("train", "dlrm", "pending", 0, reason="its job 8 was cancelled before it started")
    lines = shown(lost, cancelled)
    assert lines[-2:] == [f"search/day_02: {lost.reason}", f"train/dlrm: {cancelled.reason}"]


def test_the_log_of_what_went_wrong_is_named_unless_the_users_input_is_to_blame():
    failed = TaskStatus("search", "1", "failed", 1, reason="ValueError: it broke", log="/run/log.txt")
    fault = TaskStatus("parse", "1", "failed", 1, reason="day_1, line 3: mend it", log="/p/log.txt", input_fault=True)
    assert shown(failed)[1:] == ["search/1: ValueError: it broke", "its log: /run/log.txt"]
    assert shown(fault)[1:] == ["parse/1: day_1, line 3: mend it"]


def test_a_line_fits_80_columns():
    told = TaskStatus(
        "train", "distdnas", "running", 1, fraction=0.5, rows_per_second=98_765.0, loss=0.4321, eta_seconds=35_999.0
    )
    console = Console(file=io.StringIO(), width=80)
    console.print(draw([told]))
    (line,) = console.file.getvalue().splitlines()
    assert line.rstrip().endswith("9 h 59 min left")


STAGES = ({"name": "search", "tasks": ["1", "2"]}, {"name": "report", "tasks": ["all"], "after": ["search"]})


def test_without_a_terminal_each_change_is_a_line(tmp_path):
    run = make_run(tmp_path / "run", *STAGES, do={"search/2": "fail"})
    console = Console(file=io.StringIO(), width=200)
    with progress_shown(run, stages_of(run), console, lambda: None, interval=0.02):
        run_inline(run, stages_of(run))
        time.sleep(0.1)
    lines = [line for line in console.file.getvalue().splitlines() if " running" not in line]
    assert re.fullmatch(r"search/1 done \(\d\.\d s(, [\d,]+ rows/s)?, loss 0\.5000\)", lines[0])
    assert lines[1:] == ["search/2 failed: ValueError: it is broken"]


def test_what_is_done_is_read_once(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", *STAGES)
    watch = Watch(run, stages_of(run), lambda: None)
    run_inline(run, stages_of(run))
    first = watch.look()
    monkeypatch.setattr("distdnas_hpc.cluster.status.newest_attempt", lambda *_: pytest.fail("a result was read again"))
    assert watch.look() == first


def test_a_terminal_sees_below_what_else_there_is_to_show(tmp_path):
    run = make_run(tmp_path / "run", STAGES[0] | {"tasks": ["1"]})
    run_inline(run, stages_of(run))
    terminal, told = (Console(file=io.StringIO(), width=200, force_terminal=kind) for kind in (True, False))
    for console in (terminal, told):
        watch_run(run, stages_of(run), console, lambda: None, 0.01, below=lambda: Text("the weights so far"))
    assert "the weights so far" in terminal.file.getvalue()
    assert "the weights so far" not in told.file.getvalue()
    watch_run(run, stages_of(run), terminal, lambda: None, 0.01, below=lambda: None)  # nothing yet


def test_watching_ends_when_all_tasks_have(tmp_path):
    run = make_run(tmp_path / "run", STAGES[0] | {"tasks": ["1"]}, do={"search/1": "hold"})
    process = start_task(run, "search", "1")
    console, answers = Console(file=io.StringIO(), width=200), []
    watching = threading.Thread(
        target=lambda: answers.append(watch_run(run, stages_of(run), console, lambda: None, 0.05))
    )
    watching.start()
    wait_until(lambda: "search/1 running" in console.file.getvalue())
    (run.path / "go").touch()
    watching.join(60)
    assert process.wait(60) == 0
    assert [told.state for told in answers[0]] == ["done"]
    assert "search/1 done" in console.file.getvalue()


def test_watching_what_nobody_has_in_hand_ends_at_once(tmp_path):
    run = make_run(tmp_path / "run", *STAGES)
    told = watch_run(run, stages_of(run), Console(file=io.StringIO()), lambda: None, 0.01)
    assert {each.state for each in told} == {"pending"}


def test_a_terminal_gets_bars_that_move(tmp_path):
    """In a pseudo-terminal, as users see it: a held task is drawn running, later done."""
    run = make_run(tmp_path / "run", *STAGES, do={"search/1": "hold"})
    code = (
        "import sys; from pathlib import Path; from rich.console import Console\n"
        "from distdnas_hpc.cluster.display import progress_shown\n"
        "from distdnas_hpc.cluster.local import run_inline\n"
        "from distdnas_hpc.cluster.run_folder import RunFolder\n"
        "from tests.cluster.small_stages import stages_of\n"
        "run = RunFolder(Path(sys.argv[1]))\n"
        "with progress_shown(run, stages_of(run), Console(), lambda: None, interval=0.05):\n"
        "    run_inline(run, stages_of(run))\n"
    )
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", code, str(run.path)], stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    screen = read_until(master, r"search/1.*running.*loss 0\.7000")
    (run.path / "go").touch()
    screen += read_until(master, "report.*done")
    assert process.wait(30) == 0
    os.close(master)
    assert "rows/s" in screen


def read_until(terminal: int, pattern: str) -> str:
    text = ""
    while not re.search(pattern, text):
        text += os.read(terminal, 4096).decode(errors="replace")
    return text
