"""The architecture while it forms: the mean weights of the days that are searched so far, for a terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from distdnas_hpc.report.weights_table import weights_table
from distdnas_hpc.report.words import days_in_words
from distdnas_hpc.search.aggregate import aggregate, discretize


def forming(run: Path, days: Sequence[int], theta: float) -> RenderableType | None:
    """Draw the mean α and β over the finished days of a run, and say what θ would keep of them; None before the first.

    Parameters
    ----------
    days : that are to be searched.

    Raises
    ------
    UserError : a day's file is damaged.
    """
    folders = {day: run / "search" / f"day_{day:02d}" for day in days}
    done = {day: folder / "architecture.yaml" for day, folder in folders.items() if (folder / "result.yaml").is_file()}
    if not done:
        return None
    mean = aggregate(done, 1)
    kept = discretize(mean.alpha, mean.beta, theta)
    modules = sum(len(names) for side in (kept.dense, kept.sparse) for names in side)
    of = f" of {len(days)}" if len(done) < len(days) else ""
    said = (
        f"Mean of {len(done)}{of} {'day' if len(days) == 1 else 'days'} ({days_in_words(list(mean.days))}); "
        f"θ={theta:g} would keep {modules} modules "
        f"in {kept.blocks} {'block' if kept.blocks == 1 else 'blocks'}"
    )
    return Group(weights_table(mean.alpha, mean.beta), Text(said))
