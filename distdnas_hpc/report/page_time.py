"""The report's section on time: when tasks ran, what the search cost, and what one task over all days would have."""

from distdnas_hpc.report.elements import absent, figure, table
from distdnas_hpc.report.expense import SECONDS_AN_HOUR, Expense, expense
from distdnas_hpc.report.markup import Markup, join, tag
from distdnas_hpc.report.paper import SEARCH_HOURS
from distdnas_hpc.report.results import Results
from distdnas_hpc.report.timeline import duration, moment, timeline

PAPER = "{} hours instead of {}".format(*SEARCH_HOURS)


def time_section(results: Results) -> Markup:
    """Return the content of the section."""
    tasks = results.tasks
    if not tasks:
        return absent("No task has finished in this run.")
    hosts = sorted({task.host for task in tasks})
    where = f"on {hosts[0]}" if len(hosts) == 1 else f"on {len(hosts)} hosts"
    cost = expense(results)
    stages = {stage: [task for task in tasks if task.stage == stage] for stage in dict.fromkeys(t.stage for t in tasks)}
    rows = []
    for stage, members in stages.items():
        wall = (max(task.finished for task in members) - min(task.started for task in members)).total_seconds()
        seconds = [task.seconds for task in members]
        rows.append((stage, f"{len(members)}", duration(wall), duration(sum(seconds)), duration(max(seconds))))
    every = [(f"{task.stage}/{task.task}", task.host, moment(task.started), duration(task.seconds)) for task in tasks]
    return join(
        tag("p", in_words(cost, f"{results.whole.what} in one task" if results.whole else "one day")) if cost else None,
        figure(
            timeline(tasks),
            f"{len(tasks)} finished tasks {where}, from {moment(tasks[0].started)}. "
            "Bars of one stage that lie below each other ran at the same time; the times are sums over tasks.",
        ),
        table(("Stage", "Tasks", "From first to last", "All together", "Longest"), rows, "stack"),
        tag(
            "details",
            tag("summary", "Every task"),
            table(("Task", "Host", "Started", "Took"), every, "stack"),
        ),
    )


def in_words(cost: Expense, what: str = "one day") -> str:
    """Say what the search took, against one task over all days, and what the run cost in hours of devices.

    Parameters
    ----------
    what : a single task searched.
    """
    together, wall, longest = (
        duration(hours * SECONDS_AN_HOUR) for hours in (cost.search_hours, cost.wall_hours, cost.longest_hours)
    )
    devices = f"Cost model, search and training took {_hours(cost.device_hours)} in all."
    if cost.days == 1:
        return f"The search of {what} took {wall}. {devices}"
    how = (
        f"{cost.most_at_once} at most at a time: {cost.speedup:.1f} times as fast"
        if cost.most_at_once > 1
        else "one after the other"
    )
    return (
        f"One task over all {cost.days} days would have searched for {together}; as a task a day, the search took "
        f"{wall}, {how}. With a device for every day it would take as long as the longest day, {longest}: "
        f"{cost.possible:.1f} times as fast (the paper: {PAPER}). {devices}"
    )


def _hours(hours: float) -> str:
    written = f"{hours:,.1f}" if hours >= 10 else f"{hours:.2g}"
    return f"{written} device-hours (GPU-hours, where each task had a GPU)"
