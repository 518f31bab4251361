"""What a run cost in time, against a search of the same days in one task (paper §VI-A: 2 hours instead of 50)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from distdnas_hpc.report.parts import TaskTime
from distdnas_hpc.report.results import Results

SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True)
class Expense:
    """Hours of a run's tasks.

    Attributes
    ----------
    search_hours : of all days' search tasks together: what one task over all days takes, one after the other.
    longest_hours : of the longest of them, what the search takes when every day has a device at once.
    wall_hours : from the first start of a search task to the last end, waiting for devices included.
    device_hours : of the tasks of cost model, search and training together; GPU-hours where each had a GPU.
    most_at_once : of search tasks.
    rows_per_second : of the search as a whole: rows of all days ÷ wall time.
    """

    days: int
    search_hours: float
    longest_hours: float
    wall_hours: float
    device_hours: float
    most_at_once: int
    rows_per_second: float

    @property
    def speedup(self) -> float:
        """How many times faster the search was than one task over all days (the paper's 25)."""
        return self.search_hours / self.wall_hours

    @property
    def possible(self) -> float:
        """The same, had every day had a device at once."""
        return self.search_hours / self.longest_hours

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "speedup": self.speedup, "possible_speedup": self.possible}


def expense(results: Results) -> Expense | None:
    """Return what the search cost, None before a day is searched.

    Times are those of each task's last attempt; a task that was interrupted and resumed cost more than is counted.
    """
    search = [task for task in results.tasks if task.stage == "search"]
    if not search:
        return None
    start, end = min(task.started for task in search), max(task.finished for task in search)
    wall = max((end - start).total_seconds(), 1e-9)
    on_devices = [task for task in results.tasks if task.stage in ("cost", "search", "train")]
    return Expense(
        days=len(search),
        search_hours=_hours(search),
        longest_hours=max(task.seconds for task in search) / SECONDS_AN_HOUR,
        wall_hours=wall / SECONDS_AN_HOUR,
        device_hours=_hours(on_devices),
        most_at_once=_most_at_once(search),
        rows_per_second=sum(day.rows for day in results.searches) / wall,
    )


def _hours(tasks: Sequence[TaskTime]) -> float:
    return sum(task.seconds for task in tasks) / SECONDS_AN_HOUR


def _most_at_once(tasks: Sequence[TaskTime]) -> int:
    """Return how many ran side by side at most; one that starts when another ends does not run beside it."""
    changes = sorted([(task.finished, -1) for task in tasks] + [(task.started, 1) for task in tasks])
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
