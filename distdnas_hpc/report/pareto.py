"""Accuracy against cost: who is better for fewer MACs (paper, Figure 1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from distdnas_hpc.report.markup import Markup, tag
from distdnas_hpc.report.paper import TABLE_1
from distdnas_hpc.report.results import Results
from distdnas_hpc.report.svg import Plot, drawing, text
from distdnas_hpc.report.table import TWO_SIDED_95, significant

Metric = Literal["auc", "ne"]

HIGHER_IS_BETTER = {"auc": True, "ne": False}
NAMES = {"auc": "AUC", "ne": "NE"}
WIDTH, HEIGHT = 400, 286
LINE, CHARACTER = 13.0, 6.4
"""Pixels from one label to the next below it, and of a label's character: about, as fonts differ."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Point:
    """A model in the plane: `macs` in millions, `error` half a 95% interval or what else `pareto` is told (0: none)."""

    title: str
    macs: float
    value: float
    error: float
    kind: Literal["found", "baseline", "paper"]


def points_of(results: Results, metric: Metric) -> list[Point]:
    """Return the run's trained models whose metric is defined."""
    points = []
    for model in results.models:
        value = getattr(model, metric)
        error = getattr(model, f"{metric}_standard_error", math.nan)
        half = TWO_SIDED_95 * error if math.isfinite(error) else 0.0
        kind: Literal["found", "baseline"] = "found" if model.theta is not None else "baseline"
        if math.isfinite(value):
            points.append(Point(model.title, model.macs / 1e6, value, half, kind))
    return points


def points_of_paper(metric: Metric) -> list[Point]:
    """Return the paper's models."""
    return [Point(f"{row.model} (paper)", row.macs, getattr(row, metric), 0.0, "paper") for row in TABLE_1]


def frontier(points: Sequence[Point], metric: Metric) -> list[Point]:
    """Return the points than which no other is as good for as few MACs and better in one of both, by MACs."""
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.macs, -sign * p.value)):
        if not best or sign * point.value > sign * best[-1].value:
            best.append(point)
    return best


def pareto(points: Sequence[Point], metric: Metric, tested: str = "", bars: str = "95% intervals") -> Markup:
    """Draw a metric against MACs, with the points' errors and the Pareto frontier.

    Parameters
    ----------
    points : at least one.
    tested : what the models were tested on, for the heading.
    bars : what the errors are.
    """
    low, high = min(p.value - p.error for p in points), max(p.value + p.error for p in points)
    margin = (high - low) * 0.12 or 0.01
    widest = max(point.macs for point in points) * 1.15 or 1.0
    plot = Plot(52, 24, WIDTH - 60, HEIGHT - 66, (0, widest), (low - margin, high + margin))
    best = frontier(points, metric)
    steps = [(best[0].macs, best[0].value)]
    for before, after in pairwise(best):
        steps += [(after.macs, before.value), (after.macs, after.value)]
    steps.append((widest, best[-1].value))
    xs, ys = [step[0] for step in steps], [step[1] for step in steps]
    said = [_in_words(point) for point in points]
    marks = [mark for point, words in zip(points, said, strict=True) for mark in _mark(plot, point, words)]
    interval = f", {bars}" if any(point.error for point in points) else ""
    return drawing(
        f"pareto-{metric}",
        f"{NAMES[metric]} against MACs of the models, and the Pareto frontier",
        f"{'; '.join(said)}. On the frontier: {', '.join(point.title for point in best)}.",
        WIDTH,
        HEIGHT,
        text(0, 11, f"{NAMES[metric]}{f' on {tested}' if tested else ''}{interval}", "heading"),
        plot.axes(y_format=".4g"),
        text(plot.x(widest / 2), HEIGHT - 4, "MACs, M a sample", "tick", "middle"),
        plot.line(xs, ys, "frontier", "Pareto frontier: no model is better for fewer MACs"),
        *marks,
        *_labels(plot, points, steps),
    )


def _in_words(point: Point) -> str:
    interval = f" ± {significant(point.error)}" if point.error else ""
    return f"{point.title}: {point.value:.4f}{interval} at {point.macs:,.3f} M MACs"


def _mark(plot: Plot, point: Point, words: str) -> list[Markup]:
    x, y = plot.x(point.macs), plot.y(point.value)
    top, bottom = plot.y(point.value + point.error), plot.y(point.value - point.error)
    strokes = ((0, top, bottom), (4, top, top), (4, bottom, bottom)) if point.error else ()
    lines = (tag("line", x1=x - a, x2=x + a, y1=v, y2=w, class_="interval") for a, v, w in strokes)
    circle = tag("circle", tag("title", words), cx=x, cy=y, r=4.5, class_=f"point {point.kind}")
    return [*lines, circle]


def _labels(plot: Plot, points: Sequence[Point], steps: Sequence[tuple[float, float]]) -> list[Markup]:
    """Write every title beside its point, where it meets no other title and no point, and as few lines as can be."""
    taken = [_box((plot.x(p.macs), plot.y(p.value)), (plot.x(p.macs), plot.y(p.value)), 6) for p in points]
    ends = [((p.macs, p.value + p.error), (p.macs, p.value - p.error)) for p in points if p.error]
    lines = [_box((plot.x(a), plot.y(b)), (plot.x(c), plot.y(d)), 1) for (a, b), (c, d) in [*ends, *pairwise(steps)]]
    labels = []
    for point in sorted(points, key=lambda p: plot.y(p.value)):
        x, y = plot.x(point.macs), plot.y(point.value)
        width = CHARACTER * len(point.title)
        places = [
            (left, y + shift)
            for shift in (4, -7, 15, 26, -18, 37, -29, 48)
            for left in (x - 9 - width, x + 9)
            if left >= plot.left and left + width <= WIDTH and y + shift <= plot.top + plot.height - 3
        ]
        boxes = {place: (place[0], place[1] - 9, place[0] + width, place[1] + 3) for place in places}
        met = {
            place: 9 * sum(_meet(box, other) for other in taken) + sum(_meet(box, other) for other in lines)
            for place, box in boxes.items()
        }
        at = min(met, key=lambda place: met[place], default=(x + 9, y + 4))
        taken.append((at[0], at[1] - 9, at[0] + width, at[1] + 3))
        anchor = "start" if at[0] > x else "end"
        near = at[0] if at[0] > x else at[0] + width
        if abs(at[1] - 4 - y) > LINE:  # too far to be taken for its point's without a line
            labels.append(tag("line", x1=x, y1=y, x2=near, y2=at[1] - 4, class_="leader"))
        labels.append(text(near, at[1], point.title, "label title", anchor))
    return labels


def _box(one: tuple[float, float], other: tuple[float, float], margin: float) -> Box:
    (left, right), (top, bottom) = (sorted(ends) for ends in zip(one, other, strict=True))
    return left - margin, top - margin, right + margin, bottom + margin


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
