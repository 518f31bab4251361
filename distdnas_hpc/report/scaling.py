"""How the search's throughput grows with the number of devices (paper, Figure 4)."""

from collections.abc import Sequence
from dataclasses import dataclass

from distdnas_hpc.report.expense import expense
from distdnas_hpc.report.markup import Markup, tag
from distdnas_hpc.report.results import Results
from distdnas_hpc.report.svg import Plot, drawing, text

WIDTH, HEIGHT = 400, 270


@dataclass(frozen=True)
class Throughput:
    """Rows a second that a run's search took in as a whole, with so many day tasks at once at most."""

    run: str
    tasks: int
    rows_per_second: float


def throughputs(runs: Sequence[Results]) -> list[Throughput]:
    """Return that of each run with a searched day, by the number of tasks."""
    costs = ((results, expense(results)) for results in runs)
    found = [Throughput(r.run.name, cost.most_at_once, cost.rows_per_second) for r, cost in costs if cost]
    return sorted(found, key=lambda each: each.tasks)


def scaling(measured: Sequence[Throughput]) -> Markup:
    """Draw rows a second against tasks at once, beside a line for as many times what one task does.

    That line goes through the run with the fewest tasks: tasks of different days do not talk to each other, so what
    falls short of it waited for storage, for a shared machine, or for the longest day.

    Parameters
    ----------
    measured : at least one, by the number of tasks.
    """
    most, first = measured[-1].tasks, measured[0]
    one = first.rows_per_second / first.tasks
    highest = max(one * most, *(each.rows_per_second for each in measured))
    plot = Plot(64, 24, WIDTH - 76, HEIGHT - 66, (0, most * 1.1), (0, highest * 1.1))
    marks: list[Markup] = []
    for each in measured:
        x, y = plot.x(each.tasks), plot.y(each.rows_per_second)
        tooltip = f"{each.run}: {each.rows_per_second:,.0f} rows/s, {each.tasks} at a time"
        marks.append(tag("circle", tag("title", tooltip), cx=x, cy=y, r=4.5, class_="point found"))
    said = "; ".join(f"{each.tasks} at a time {each.rows_per_second:,.0f}" for each in measured)
    return drawing(
        "scaling",
        "Rows a second of the whole search against day tasks at a time",
        f"{said}. In proportion to {first.tasks}: {one:,.0f} a task.",
        WIDTH,
        HEIGHT,
        text(0, 11, "search, rows a second", "heading"),
        plot.axes(y_format=",g", x_count=max(2, min(most, 8))),
        text(plot.left + plot.width / 2, HEIGHT - 4, "day tasks at a time", "tick", "middle"),
        plot.line((0, most), (0, one * most), "threshold", "in proportion"),
        *marks,
    )
