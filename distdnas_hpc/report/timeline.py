"""When the tasks ran, as a chart by stage.

Positions are percentages, so that the chart fills any width and its text keeps its size.
"""

from collections.abc import Sequence
from datetime import datetime

from distdnas_hpc.report.markup import Markup, tag
from distdnas_hpc.report.parts import TaskTime
from distdnas_hpc.report.svg import nice_ticks, text

LANE = 12.0
"""Pixels of one lane of bars."""

UNITS = ((1.0, "s"), (60.0, "min"), (3600.0, "h"))


def timeline(tasks: Sequence[TaskTime]) -> Markup:
    """Draw one bar a task; tasks of a stage that ran side by side lie in lanes below each other.

    Parameters
    ----------
    tasks : at least one.
    """
    start, end = min(task.started for task in tasks), max(task.finished for task in tasks)
    total = max((end - start).total_seconds(), 1e-3)
    scale, unit = next((u for u in reversed(UNITS) if total >= 2 * u[0]), UNITS[0])
    stages = {stage: [task for task in tasks if task.stage == stage] for stage in dict.fromkeys(t.stage for t in tasks)}
    parts: list[Markup] = []
    said = []
    y = 0.0
    for stage, members in stages.items():
        seconds = sum(task.seconds for task in members)
        summary = f"{stage}: {len(members)} {'task' if len(members) == 1 else 'tasks'}, {duration(seconds)}"
        said.append(summary)
        parts.append(text(0, y + 13, summary, "label"))
        y += 19
        lanes = _lanes(members)
        for task, lane in zip(members, lanes, strict=True):
            tooltip = f"{task.stage}/{task.task}: {duration(task.seconds)} on {task.host}"
            x, width = (
                100 * (seconds / total)
                for seconds in (
                    (task.started - start).total_seconds(),
                    max((task.finished - task.started).total_seconds(), 0.0),
                )
            )
            parts.append(
                tag("rect", tag("title", tooltip), x=f"{x:.3f}%", y=y + lane * LANE, width=f"{max(width, 0.25):.3f}%",
                    height=LANE - 2, rx=2, class_="task")
            )  # fmt: skip
        y += (max(lanes) + 1) * LANE + 6
    ticks = [value for value in nice_ticks(0, total / scale, 5) if value * scale <= total * 0.97]
    rules = [
        tag("line", x1=f"{100 * value * scale / total:.3f}%", x2=f"{100 * value * scale / total:.3f}%", y1=0, y2=y,
            class_="rule")
        for value in ticks
    ]  # fmt: skip
    labels = [
        tag("text", f"{value:g} {unit}", x=f"{100 * value * scale / total:.3f}%", y=y + 14, class_="tick",
            text_anchor="middle" if value else "start")
        for value in ticks
    ]  # fmt: skip
    return tag(
        "svg",
        tag("title", "When the tasks of each stage ran", id="timeline-title"),
        tag("desc", f"From {moment(start)}, {duration(total)} in all. {'; '.join(said)}.", id="timeline-desc"),
        *rules,
        *parts,
        *labels,
        id="timeline",
        role="img",
        aria_labelledby="timeline-title timeline-desc",
        width="100%",
        height=y + 20,
    )


def duration(seconds: float) -> str:
    """Write a duration as people say it: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(time: datetime) -> str:
    """Write a date and time, with its zone."""
    return f"{time.day} {time:%B %Y, %H:%M} {time.tzname() or ''}".rstrip()


def _lanes(tasks: Sequence[TaskTime]) -> list[int]:
    """Give each task, in order of start, the first lane that is free by then."""
    free: list[datetime] = []
    lanes = []
    for task in tasks:
        lane = next((i for i, until in enumerate(free) if until <= task.started), len(free))
        free[lane : lane + 1] = [task.finished]
        lanes.append(lane)
    return lanes
