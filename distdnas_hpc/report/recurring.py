"""Recurring training: models trained on days 1 to t and tested on day t+1, for every t (paper §VI-B, Figure 7)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from distdnas_hpc.config import Config
from distdnas_hpc.errors import UserError
from distdnas_hpc.report.elements import COLOURS
from distdnas_hpc.report.markup import Markup, tag
from distdnas_hpc.report.parts import Array
from distdnas_hpc.report.svg import Plot, drawing, text
from distdnas_hpc.storage import read_yaml
from distdnas_hpc.train.candidates import recurring

BASELINE = "dlrm"
WIDTH, LINE = 400, 16.0
"""Pixels of the figure, and of a line of its legend."""
HEADINGS = {"auc": "AUC on the next day", "ne": "NE on the next day, relative to DLRM (%)"}


@dataclass(frozen=True)
class NextDays:
    """A model's scores: `days` that it was tested on, each after training on all days before; nan where undefined."""

    title: str
    model: str
    days: tuple[int, ...]
    auc: Array
    ne: Array


def read_next_days(run: Path, config: Config) -> tuple[NextDays, ...]:
    """Read what recurring training left in a run: the models that are done, as the config names them.

    Raises
    ------
    UserError : a result is damaged.
    """
    found = []
    for candidate in recurring(config):
        path = run / "recurring" / candidate.task / "result.yaml"
        if not path.is_file():
            continue
        content = read_yaml(path)
        if content.get("state") == "diverged":
            continue
        try:
            days = content["days"]
            metrics = [np.array([_number(day[name]) for day in days]) for name in ("auc", "ne")]
            tested = tuple(int(day["test_day"]) for day in days)
            found.append(NextDays(str(content["title"]), candidate.model, tested, *metrics))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error!r}); remove its folder and run the experiment again.") from None
    return tuple(found)


def next_days_rows(models: Sequence[NextDays]) -> list[dict[str, Any]]:
    """Return one row a model and day, ready for JSON: model, day, auc, ne, relative_ne_percent (None without DLRM)."""
    return [
        {
            "model": model.title,
            "day": day,
            "auc": _plain(auc),
            "ne": _plain(ne),
            "relative_ne_percent": _plain(relative),
        }
        for model in models
        for day, auc, ne, relative in zip(model.days, model.auc, model.ne, _relative_ne(model, models), strict=True)
    ]


def next_days(models: Sequence[NextDays], metric: Literal["auc", "ne"]) -> Markup:
    """Draw a metric over test days, a line a model; NE relative to DLRM's.

    Parameters
    ----------
    models : one at least with a value that is defined; for NE, DLRM among them.
    """
    series = [model.auc if metric == "auc" else _relative_ne(model, models) for model in models]
    values = np.concatenate(series)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = (high - low) * 0.08 or abs(high) * 0.01 or 0.01
    top = 24 + LINE * len(models)
    first, last = min(m.days[0] for m in models), max(m.days[-1] for m in models)
    plot = Plot(58, top, WIDTH - 66, 170, (first - 0.3, last + 0.3), (low - margin, high + margin))
    lines, legend, said = list[Markup](), list[Markup](), list[str]()
    for k, (model, scores) in enumerate(zip(models, series, strict=True), 1):
        class_ = f"model{k}" if k <= COLOURS else "others"
        y = 18 + LINE * k
        legend.append(tag("line", x1=0, x2=18, y1=y - 4, y2=y - 4, class_=f"line {class_}"))
        legend.append(text(24, y, model.title, "label"))
        defined = np.isfinite(scores)
        days = np.array(model.days, dtype=float)[defined]
        lines.append(plot.line(days, scores[defined], class_, model.title))
        told = ", ".join(f"day {day:.0f} {score:.4f}" for day, score in zip(days, scores[defined], strict=True))
        said.append(f"{model.title}: {told}")
    return drawing(
        f"next-days-{metric}",
        f"{HEADINGS[metric]} under recurring training",
        f"{'; '.join(said)}.",
        WIDTH,
        top + 170 + 36,
        text(0, 11, HEADINGS[metric], "heading"),
        plot.axes(y_format=".4g", x_count=min(last - first + 1, 8)),
        text(plot.left + plot.width / 2, top + 170 + 32, "test day", "tick", "middle"),
        *legend,
        *lines,
    )


def has_baseline(models: Sequence[NextDays]) -> bool:
    """Whether NE can be told relative to DLRM's."""
    return any(model.model == BASELINE for model in models)


def _relative_ne(model: NextDays, models: Sequence[NextDays]) -> Array:
    """Return (NE ÷ NE of DLRM on the same day - 1)·100 of each of the model's days, nan without DLRM's."""
    reference = {
        day: ne for each in models if each.model == BASELINE for day, ne in zip(each.days, each.ne, strict=True)
    }
    own = [reference.get(day, math.nan) for day in model.days]
    relative: Array = (model.ne / np.array(own) - 1) * 100
    return relative


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
