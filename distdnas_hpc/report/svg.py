"""What the figures share: an accessible drawing, a plot area with axes, lines that are thin enough to send."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.report.markup import Markup, join, tag
from distdnas_hpc.report.style import FIGURES, LIGHT

Numbers = Sequence[float] | NDArray[np.float64]

POINTS = 48
"""At most so many points of one line are drawn; a run of 22 days has some 1,500 lines of weights."""


def drawing(name: str, title: str, description: str, width: float, height: float, *children: str | None) -> Markup:
    """Return an SVG image that screen readers announce by `title` and `description`.

    Parameters
    ----------
    name : identifier, unique on the page.
    description : the figure's content in words and numbers.
    width, height : in pixels at full size; the page may scale it down.
    """
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        *children,
        id=name,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
    )


def standalone(image: Markup) -> str:
    """Return a drawing as a file of its own, in light colours, for papers and programs that know no CSS variables."""
    style = re.sub(r"var\(--(\w+)\)", lambda name: LIGHT[name[1]], f"svg {{ font-family: var(--sans); }}\n{FIGURES}")
    start = '<svg xmlns="http://www.w3.org/2000/svg" style="background: #fff"'
    return f"{image.replace('<svg', start, 1).removesuffix('</svg>')}<style>{style}</style></svg>\n"


def text(x: float, y: float, content: str, class_: str | None = None, anchor: str = "start") -> Markup:
    """Return text whose baseline starts (or has its middle, end) at a point."""
    return tag("text", content, x=x, y=y, class_=class_, text_anchor=None if anchor == "start" else anchor)


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return about `count` round numbers (1, 2, 2.5 or 5 times a power of ten apart) from `low` to `high`; 0: none."""
    if not count:
        return []
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def thinned(x: Numbers, y: Numbers) -> tuple[list[float], list[float]]:
    """Return at most `POINTS` of the points, the first and the last among them."""
    index = np.unique(np.linspace(0, len(x) - 1, min(len(x), POINTS)).round().astype(int))
    return [float(x[i]) for i in index], [float(y[i]) for i in index]


def binned(x: Numbers, y: Numbers) -> tuple[list[float], list[float]]:
    """Return means over at most `POINTS` stretches of nearly equal length; for series that are noisy."""
    parts = min(len(x), POINTS)
    if not parts:
        return [], []
    means = ([float(part.mean()) for part in np.array_split(np.asarray(values), parts)] for values in (x, y))
    xs, ys = means
    return xs, ys


@dataclass(frozen=True)
class Plot:
    """A plot area in pixels, and the values at its edges.

    Attributes
    ----------
    left, top, width, height : of the area between the axes.
    x_range, y_range : values at the left and right, bottom and top edge.
    """

    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        """Return the horizontal position of a value."""
        low, high = self.x_range
        return self.left + self.width * (value - low) / ((high - low) or 1)

    def y(self, value: float) -> float:
        """Return the vertical position of a value."""
        low, high = self.y_range
        return self.top + self.height * (1 - (value - low) / ((high - low) or 1))

    def axes(self, x_format: str = "g", y_format: str = "g", x_count: int = 4, y_count: int = 4) -> Markup:
        """Return rules at round values of y, a base line, and the numbers of both axes."""
        bottom, right = self.top + self.height, self.left + self.width
        parts = []
        for value in nice_ticks(*self.y_range, count=y_count):
            parts.append(tag("line", x1=self.left, x2=right, y1=self.y(value), y2=self.y(value), class_="rule"))
            parts.append(text(self.left - 6, self.y(value) + 3.5, format(value, y_format), "tick", "end"))
        parts.append(tag("line", x1=self.left, x2=right, y1=bottom, y2=bottom, class_="axis"))
        for value in nice_ticks(*self.x_range, count=x_count):
            parts.append(text(self.x(value), bottom + 15, format(value, x_format), "tick", "middle"))
        return join(*parts)

    def line(self, x: Numbers, y: Numbers, class_: str, tooltip: str) -> Markup:
        """Return a line through points; hovering over it shows `tooltip`."""
        points = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in zip(x, y, strict=True))
        return tag("polyline", tag("title", tooltip), points=points, class_=f"line {class_}")
