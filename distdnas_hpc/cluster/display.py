"""Live progress of a run on the terminal, drawn from the files that tasks write; plain lines where there is none."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import rich.progress
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from distdnas_hpc.cluster.run_folder import STUDY, RunFolder
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.cluster.status import WENT_WRONG, TaskStatus, run_status
from distdnas_hpc.progress import Progress

Alive = Callable[[], Collection[str] | None]
"""Asks Slurm which of the run's jobs live; see `run_status`."""

STYLES = {
    "done": "green",
    "running": "cyan",
    "pending": "dim",
    "interrupted": "yellow",
    "preempted": "yellow",
    **dict.fromkeys(("failed", "diverged", "timed out", "out of memory", "lost"), "red"),
}
BAR = 10
"""Characters of a bar."""
WIDE = 110
"""Columns of a terminal from which on attempt, node, memory and the time so far are shown as well."""
SHOWN = 32
"""At most so many tasks of a stage have a line each; of larger stages only those that run or went wrong."""


@contextmanager
def progress_shown(
    run: RunFolder,
    stages: Sequence[Stage],
    console: Console,
    alive: Alive,
    interval: float,
    picture: Callable[[Sequence[TaskStatus]], RenderableType] | None = None,
) -> Iterator[None]:
    """Show the run's progress while the block runs, looking at the files every `interval` seconds.

    Parameters
    ----------
    picture : draws it on a terminal; default: `draw`.
    """
    watch, picture = Watch(run, stages, alive), picture or draw
    if console.is_terminal:
        with Live(console=console, get_renderable=lambda: picture(watch.look()), refresh_per_second=1 / interval):
            yield
        return
    stop = threading.Event()

    def tell() -> None:
        while not stop.wait(interval):
            _tell_changes(watch, console)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        _tell_changes(watch, console)


class ForegroundProgress(Progress):
    """A bar on the terminal for work that this process does itself; use as a context manager."""

    def __init__(self, console: Console, what: str) -> None:
        super().__init__(None)
        self._bar = rich.progress.Progress(console=console, transient=True)
        self._task = self._bar.add_task(what, total=1.0)

    def __enter__(self) -> "ForegroundProgress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def update(
        self,
        fraction: float,
        *,
        rows: int | None = None,
        loss: float | None = None,
        architecture: dict[str, list[float]] | None = None,
    ) -> None:
        """Move the bar to `fraction` (0 to 1)."""
        self._bar.update(self._task, completed=fraction)


class Watch:
    """Looks at a run again and again; what is done is read once."""

    def __init__(self, run: RunFolder, stages: Sequence[Stage], alive: Alive) -> None:
        self.told: dict[tuple[str, str], str] = {}
        self._run = run
        self._stages = stages
        self._alive = alive
        self._done: dict[tuple[str, str], TaskStatus] = {}

    def look(self) -> list[TaskStatus]:
        """Return the status of every task, in the order of the stages."""
        statuses = run_status(self._run, self._stages, self._alive(), self._done)
        self._done = {(told.stage, told.task): told for told in statuses if told.state == "done"}
        return statuses


def watch_run(
    run: RunFolder,
    stages: Sequence[Stage],
    console: Console,
    alive: Alive,
    interval: float,
    *,
    every: bool = False,
    below: Callable[[], RenderableType | None] = lambda: None,
) -> list[TaskStatus]:
    """Show the run, on a terminal with what goes `below`, until no task is running or queued; return how it is then.

    Looks every `interval` seconds, and more seldom where a look itself takes long: at thousands of tasks on a slow
    file system. A command that runs tasks one after the other has none in hand for a moment: so look twice.
    """
    watch, idle = Watch(run, stages, alive), 0
    with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:
        while True:
            start = time.monotonic()
            if live:
                picture = draw(statuses := watch.look(), every=every)
                live.update(Group(picture, *([more] if (more := below()) else [])), refresh=True)
            else:
                statuses = _tell_changes(watch, console)
            idle = 0 if any(told.in_hand for told in statuses) else idle + 1
            if idle == 2 or all(told.state == "done" for told in statuses):
                return statuses
            time.sleep(max(interval, 5 * (time.monotonic() - start)))


def draw(statuses: Sequence[TaskStatus], *, every: bool = False) -> RenderableType:
    """Draw a line for a finished or waiting stage, and a bar for each task of the others (of `every` stage).

    Of a study's runs, one that is finished or waits has one line.
    """
    return _Drawing(statuses, every)


@dataclass(frozen=True)
class _Drawing:
    """What `draw` gives: knows how wide it may be when it is shown."""

    statuses: Sequence[TaskStatus]
    every: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= WIDE
        grid = Table.grid(padding=(0, 1))
        widths = (14, BAR, 4, 7, 9, 4, 13, 11, 7, 8, 8) if wide else (14, BAR, 7, 13, 11, 10)  # not to jump about
        for width in widths:
            grid.add_column(min_width=width, no_wrap=True)
        for stage, tasks in self._groups():
            states = {told.state for told in tasks}
            if not self.every and len(states) == 1 and states <= {"done", "pending"}:
                count = f"{len(tasks)} tasks" if len(tasks) > 1 else ""
                seconds = sum(told.seconds or 0.0 for told in tasks)
                grid.add_row(*_stage_row(stage, float("done" in states), states.pop(), count, seconds, wide=wide))
                continue
            shown = tasks
            if len(tasks) > SHOWN and not self.every:
                shown = [told for told in tasks if told.state not in ("done", "pending")]
            for told in shown:
                grid.add_row(*_task_row(told, wide=wide))
            if len(shown) < len(tasks):
                done = sum(told.state == "done" for told in tasks)
                grid.add_row(*_stage_row(stage, done / len(tasks), f"{done} of {len(tasks)} done", "", 0.0, wide=wide))
        yield grid
        yield from self._reasons()

    def _groups(self) -> Iterator[tuple[str, list[TaskStatus]]]:
        """Yield what may have one line, under its name: the tasks of a stage, or of a whole run of a study."""
        runs: dict[str, list[TaskStatus]] = {}
        for told in self.statuses:
            runs.setdefault(told.stage.rpartition("/")[0], []).append(told)
        for run, members in runs.items():
            if run and not self.every and {told.state for told in members} in ({"done"}, {"pending"}):
                yield run.removeprefix(f"{STUDY}/"), members
                continue
            stages: dict[str, list[TaskStatus]] = {}
            for told in members:
                stages.setdefault(told.stage, []).append(told)
            for stage, tasks in stages.items():
                yield stage.removeprefix(f"{STUDY}/"), tasks

    def _reasons(self) -> Iterator[Text]:
        for told in self.statuses:
            if told.reason and (told.state in WENT_WRONG or (told.state == "pending" and not told.attempt)):
                yield Text(f"{told.stage}/{told.task}: {told.reason}", STYLES[told.state])
                if told.log and not told.input_fault:
                    yield Text(f"  its log: {told.log}", "dim")


def _stage_row(
    stage: str, fraction: float, state: str, count: str, seconds: float, *, wide: bool
) -> tuple[RenderableType, ...]:
    bar = ProgressBar(total=1, completed=fraction, width=BAR)
    word = Text(state, STYLES.get(state, ""))
    time_taken = _duration(seconds) if seconds else ""
    if wide:
        return (stage, bar, "", word, "", "", count, "", "", time_taken, "")
    return (stage, bar, word, count, "", time_taken)


def _task_row(told: TaskStatus, *, wide: bool) -> tuple[RenderableType, ...]:
    name, state = f"{told.stage}/{told.task}".removeprefix(f"{STUDY}/"), Text(told.state, STYLES[told.state])
    bar = ProgressBar(total=1, completed=told.fraction, width=BAR)
    speed = f"{told.rows_per_second:,.0f} rows/s" if told.rows_per_second else ""
    loss = f"loss {told.loss:.4f}" if told.loss is not None else ""
    taken = _duration(told.seconds) if told.seconds else ""
    left = f"{_duration(told.eta_seconds)} left" if told.eta_seconds is not None else ""
    if not wide:
        return (name, bar, state, speed, loss, left if told.state == "running" else taken)
    percent = f"{int(100 * told.fraction)} %" if told.state not in ("done", "pending") else ""
    attempt = f"attempt {told.attempt}" if told.attempt > 1 else ""
    memory = f"{told.memory_bytes / 1e9:.1f} GB" if told.memory_bytes else ""
    return (name, bar, percent, state, attempt, told.host or "", speed, loss, memory, taken, left)


def _tell_changes(watch: Watch, console: Console) -> list[TaskStatus]:
    """Look, and print a line for each task whose state has changed since the last look."""
    statuses = watch.look()
    for told in statuses:
        before = watch.told.get((told.stage, told.task), "pending")
        if told.state == before:
            continue
        watch.told[told.stage, told.task] = told.state
        line = f"{told.stage}/{told.task} {told.state}"
        if told.state == "done":
            details = [_duration(told.seconds or 0.0)]
            details += [f"{told.rows_per_second:,.0f} rows/s"] if told.rows_per_second else []
            details += [f"loss {told.loss:.4f}"] if told.loss is not None else []
            line += f" ({', '.join(details)})"
        elif told.reason:
            line += f": {told.reason}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return statuses


def _duration(seconds: float) -> str:
    """Write a duration as people say it: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
