"""Live progress of a run on the terminal, drawn from the files that tasks write; plain lines where there is none."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

import rich.progress
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.cluster.status import WENT_WRONG, TaskStatus, run_status
from distdnas_hpc.progress import Progress

Alive = Callable[[], Collection[str] | None]
"""Asks Slurm which of the run's jobs live; see `run_status`."""

STYLES = {
    "done": "green",
    "running": "cyan",
    "failed": "red",
    "interrupted": "yellow",
    "lost": "red",
    "diverged": "red",
    "pending": "dim",
}
BAR = 12
"""Characters of a bar."""
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


def draw(statuses: Sequence[TaskStatus]) -> RenderableType:
    """Draw a line for a finished or waiting stage, and a bar for each task of the others."""
    grid = Table.grid(padding=(0, 1))  # narrow enough for 80 columns
    for width in (14, BAR, 7, 13, 11, 10):  # task, bar, state, rows/s, loss, time: wide enough not to jump about
        grid.add_column(min_width=width, no_wrap=True)
    for stage in dict.fromkeys(told.stage for told in statuses):
        tasks = [told for told in statuses if told.stage == stage]
        states = {told.state for told in tasks}
        if len(states) == 1 and states <= {"done", "pending"}:
            seconds = sum(told.seconds or 0.0 for told in tasks)
            state = states.pop()
            count = f"{len(tasks)} tasks" if len(tasks) > 1 else ""
            bar = ProgressBar(total=1, completed=float(state == "done"), width=BAR)
            grid.add_row(stage, bar, Text(state, STYLES[state]), count, "", _duration(seconds) if seconds else "")
            continue
        shown = tasks if len(tasks) <= SHOWN else [told for told in tasks if told.state not in ("done", "pending")]
        for told in shown:
            grid.add_row(*_task_row(told))
        if len(shown) < len(tasks):
            done = sum(told.state == "done" for told in tasks)
            bar = ProgressBar(total=len(tasks), completed=done, width=BAR)
            grid.add_row(stage, bar, f"{done} of {len(tasks)} done", "", "", "")
    reasons = [
        Text(f"{told.stage}/{told.task}: {told.reason}", STYLES[told.state])
        for told in statuses
        if told.reason and (told.state in WENT_WRONG or (told.state == "pending" and not told.attempt))
    ]
    return Group(grid, *reasons)


def _task_row(told: TaskStatus) -> tuple[RenderableType, ...]:
    eta = f"{_duration(told.eta_seconds)} left" if told.eta_seconds is not None else ""
    return (
        f"{told.stage}/{told.task}",
        ProgressBar(total=1, completed=told.fraction, width=BAR),
        Text(told.state, STYLES[told.state]),
        f"{told.rows_per_second:,.0f} rows/s" if told.rows_per_second else "",
        f"loss {told.loss:.4f}" if told.loss is not None else "",
        eta if told.state == "running" else _duration(told.seconds) if told.seconds else "",
    )


def _tell_changes(watch: Watch, console: Console) -> None:
    """Print a line for each task whose state has changed since the last look."""
    for told in watch.look():
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


def _duration(seconds: float) -> str:
    """Write a duration as people say it: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
