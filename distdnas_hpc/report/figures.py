"""The report's figures as inline SVG; colours are the page's CSS variables, so they follow light and dark."""

from collections.abc import Sequence

import numpy as np

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.report.elements import COLOURS
from distdnas_hpc.report.markup import Markup, join, tag
from distdnas_hpc.report.parts import Array, Cost, Found, Searched, TrainedModel
from distdnas_hpc.report.svg import Plot, binned, drawing, text, thinned

WIDTH = 400
"""Pixels of a figure that stands alone in its column."""


def weight_map(side: str, found: Found) -> Markup:
    """Draw the mean architecture weights of one side as a table of shaded cells, the kept modules outlined.

    Parameters
    ----------
    side : 'alpha' (dense modules) or 'beta' (sparse modules).
    """
    weights, spread, modules, kept, symbol, kind = (
        (found.alpha, found.alpha_spread, DENSE_MODULES, found.architecture.dense, "α", "dense")
        if side == "alpha"
        else (found.beta, found.beta_spread, SPARSE_MODULES, found.architecture.sparse, "β", "sparse")
    )
    left, top, height = 52.0, 26.0, 34.0
    width = (WIDTH - left - 2) / len(modules)
    largest = max(found.alpha.max(), found.beta.max())
    cells: list[Markup] = [
        text(left + (j + 0.5) * width, 14, name, "label", "middle") for j, name in enumerate(modules)
    ]
    said = []
    for i, row in enumerate(weights):
        y = top + i * height
        cells.append(text(0, y + height / 2 + 4, f"block {i + 1}", "label"))
        for j, (name, weight) in enumerate(zip(modules, row, strict=True)):
            keeps = name in kept[i]
            x, state = left + j * width, "kept" if keeps else "dropped"
            tooltip = f"block {i + 1}, {name}: {weight:.3f} ± {spread[i, j]:.3f} between days, {state}"
            box = {"x": x + 1.5, "y": y + 1.5, "width": width - 3, "height": height - 3, "rx": 3}
            cells.append(
                tag(
                    "g",
                    tag("title", tooltip),
                    tag("rect", **box, class_=f"cell {kind}", fill_opacity=0.03 + 0.5 * weight / largest),
                    tag("rect", **box, class_=f"kept {kind}") if keeps else None,
                    text(x + width / 2, y + height / 2 + 4, f"{weight:.3f}", f"value {state}", "middle"),
                )
            )
        said.append(f"Block {i + 1}: " + ", ".join(f"{n} {w:.3f}" for n, w in zip(modules, row, strict=True)) + ".")
    return drawing(
        f"weights-{side}",
        f"Mean {symbol}: weights of the {kind} modules of each block",
        " ".join(said) + " Kept: " + _kept_in_words(kept) + ".",
        WIDTH,
        top + len(weights) * height,
        *cells,
    )


def cost_bars(side: str, cost: Cost) -> Markup:
    """Draw the cost importance of one side's modules: block 1 and blocks 2..N (the paper's Figure 5).

    Parameters
    ----------
    side : 'dense' or 'sparse'.
    """
    bars, said, height = _bars(side, cost)
    return drawing(f"cost-{side}", f"Cost importance of the {side} modules", said, WIDTH, height, bars)


def cost_importance(cost: Cost) -> Markup:
    """Draw the cost importance of all modules side by side, with a legend: the paper's Figure 5 as one drawing."""
    top, gap = 52.0, 24.0
    parts: list[Markup] = [text(0, 11, f"Normalised cost importance in a {len(cost.dense)}-block supernet", "heading")]
    height, descriptions = 0.0, []
    for column, side in enumerate(("dense", "sparse")):
        bars, said, height = _bars(side, cost)
        x = column * (WIDTH + gap)
        legend: list[Markup] = []
        for index, (label, class_, _) in enumerate(_groups(cost, side)):
            at = 84 + 110 * index
            legend.append(tag("rect", x=at, y=24, width=11, height=11, class_=f"bar {side} {class_}"))
            legend.append(text(at + 17, 34, label, "label"))
        columns = tag("g", bars, transform=f"translate(0 {top:g})")
        parts.append(tag("g", *legend, columns, transform=f"translate({x:g} 0)"))
        descriptions.append(f"{side.capitalize()} modules, {said}")
    title = "Normalised cost importance of the interaction modules"
    return drawing("cost-importance", title, " ".join(descriptions), 2 * WIDTH + gap, top + height, *parts)


def _bars(side: str, cost: Cost) -> tuple[Markup, str, float]:
    """Return the bars of a side, what they say in words, and how high they stand."""
    modules = DENSE_MODULES if side == "dense" else SPARSE_MODULES
    left, row, bar = 84.0, 38.0, 11.0
    scale = WIDTH - left - 44
    groups = _groups(cost, side)
    height = len(modules) * row
    bars: list[Markup] = [tag("line", x1=left, x2=left, y1=0, y2=height, class_="axis")]
    for j, name in enumerate(modules):
        y = j * row + 4
        bars.append(text(left - 8, y + 16, name, "label", "end"))
        for index, (label, class_, values) in enumerate(groups):
            top = y + index * (bar + 2)
            tooltip = tag("title", f"{name}, {label}: {values[j]:.3f}")
            bars.append(
                tag("rect", tooltip, x=left, y=top, width=max(scale * values[j], 0.75), height=bar,
                    class_=f"bar {side} {class_}")
            )  # fmt: skip
            bars.append(text(left + scale * values[j] + 5, top + bar - 2, f"{values[j]:.3f}", "tick"))
    said = "; ".join(
        f"{label}: " + ", ".join(f"{n} {v:.3f}" for n, v in zip(modules, values, strict=True))
        for label, _, values in groups
    )
    return join(*bars), f"{said}.", height


def _groups(cost: Cost, side: str) -> list[tuple[str, str, Array]]:
    """Return name, style class and importances of block 1, and of the later blocks where there are some."""
    importance = cost.dense if side == "dense" else cost.sparse
    groups = [("block 1", "first", importance[0])]
    if cost.later:
        groups.append((cost.later, "later", importance[1]))
    return groups


def weight_trajectories(side: str, block: int, days: Sequence[Searched], theta: float) -> Markup:
    """Draw the weights of one block's modules on one side over the steps of the search, a line a module and day.

    The threshold `theta` is drawn for the eye; it is applied to the mean of the days.

    Parameters
    ----------
    side : 'alpha' or 'beta'.
    block : from 0.
    """
    symbol, modules = ("α", DENSE_MODULES) if side == "alpha" else ("β", SPARSE_MODULES)
    highest = max(float(getattr(day, side).max()) for day in days)
    plot = Plot(34, 20, 188, 96, (0, _last_step(days)), (0, max(highest * 1.05, 0.3)))
    lines = [
        plot.line(*thinned(day.step, getattr(day, side)[:, block, j]), f"m{j + 1}", f"{name}, {day.what}")
        for j, name in enumerate(modules)
        for day in days
    ]
    ends = (
        f"{name} {min(last):.3f} to {max(last):.3f}"
        for j, name in enumerate(modules)
        for last in [[float(getattr(day, side)[-1, block, j]) for day in days]]
    )
    heading = f"{symbol}, block {block + 1}"
    return drawing(
        f"trajectory-{side}-{block + 1}",
        f"{heading}: weights of its modules over the steps of each day's search",
        f"At the end of the {len(days)} days: {'; '.join(ends)}.",
        226,
        138,
        text(0, 11, heading, "heading"),
        plot.axes(x_format=",g", x_count=3, y_count=3),
        plot.line(plot.x_range, (theta, theta), "threshold", f"θ={theta:g}"),
        *lines,
    )


def module_legend(side: str) -> Markup:
    """Draw which colour is which module of a side in the drawings of `weight_trajectories`."""
    symbol, modules = ("α", DENSE_MODULES) if side == "alpha" else ("β", SPARSE_MODULES)
    parts: list[Markup] = [text(0, 11, symbol, "heading")]
    for j, name in enumerate(modules):
        x = 24.0 + 110 * j
        parts.append(tag("line", x1=x, x2=x + 18, y1=7, y2=7, class_=f"line m{j + 1}", stroke_width=3))
        parts.append(text(x + 24, 11, name, "label"))
    return drawing(f"legend-{side}", f"Colours of {symbol}", ", ".join(modules), 24 + 110 * len(modules), 16, *parts)


def expected_macs(days: Sequence[Searched]) -> Markup:
    """Draw the MACs that the architecture weights stand for on average over the steps, a line a day."""
    low = min(float(day.expected_macs.min()) for day in days) / 1e6
    high = max(float(day.expected_macs.max()) for day in days) / 1e6
    margin = (high - low) * 0.08 or abs(high) * 0.05 or 1
    plot = Plot(52, 20, WIDTH - 60, 150, (0, _last_step(days)), (low - margin, high + margin))
    lines = [plot.line(*thinned(day.step, day.expected_macs / 1e6), "day", day.what) for day in days]
    said = ", ".join(
        f"{day.what} from {day.expected_macs[0] / 1e6:.3f} to {day.expected_macs[-1] / 1e6:.3f}" for day in days
    )
    return drawing(
        "expected-macs",
        "Expected MACs (M a sample) over the steps of each day's search",
        f"In millions: {said}.",
        WIDTH,
        206,
        text(0, 11, "expected MACs, M a sample", "heading"),
        plot.axes(x_format=",g", y_format=".4g"),
        text(52 + (WIDTH - 60) / 2, 202, "step", "tick", "middle"),
        *lines,
    )


def training_curves(models: Sequence[TrainedModel]) -> Markup:
    """Draw the training loss of each model over its single pass, with the days marked.

    Parameters
    ----------
    models : one of them has a curve, at least.
    """
    drawn = [(k, m.title, *binned(m.curve.step, m.curve.loss)) for k, m in enumerate(models, 1) if m.curve is not None]
    losses = [loss for _, _, _, series in drawn for loss in series]
    low, high = min(losses), max(losses)
    margin = (high - low) * 0.06 or 0.1
    curve = max((model.curve for model in models if model.curve is not None), key=lambda c: len(c.step))
    plot = Plot(52, 40, WIDTH - 60, 194, (0, float(curve.step[-1])), (low - margin, high + margin))
    marks: list[Markup] = []
    starts = [0.0, *(float(curve.step[k]) for k in np.flatnonzero(np.diff(curve.day)))]
    for start, end, day in zip(starts, [*starts[1:], float(curve.step[-1])], dict.fromkeys(curve.day), strict=True):
        if start:
            x = plot.x(start)
            marks.append(tag("line", x1=x, x2=x, y1=plot.top, y2=plot.top + plot.height, class_="rule dashed"))
        if len(starts) <= 12 or int(day) % 4 == 0:
            marks.append(text(plot.x((start + end) / 2), plot.top - 5, f"day {day:.0f}", "tick", "middle"))
    lines = [
        plot.line(steps, series, f"model{k}" if k <= COLOURS else "others", title)
        for k, title, steps, series in reversed(drawn)  # so that the first lies on top
    ]
    said = "; ".join(f"{title} from {series[0]:.3f} to {series[-1]:.3f}" for _, title, _, series in drawn)
    return drawing(
        "training-loss",
        "Training loss of each model over its single pass over the days",
        f"{said}.",
        WIDTH,
        270,
        text(0, 11, "training LogLoss", "heading"),
        plot.axes(x_format=",g", y_format=".3g"),
        text(plot.x(plot.x_range[1] / 2), 266, "step", "tick", "middle"),
        *marks,
        *lines,
    )


def _last_step(days: Sequence[Searched]) -> float:
    return max(float(day.step[-1]) for day in days)


def _kept_in_words(kept: Sequence[Sequence[str]]) -> str:
    return "; ".join(f"block {i} {', '.join(names)}" for i, names in enumerate(kept, 1))
