"""A study's findings for a terminal, like the paper's Table II."""

from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.table import Table


class Row(NamedTuple):
    """What a study found of one strategy with one γ, seed, θ and M.

    `search` and `training` say whether they converged (docs/study.md): yes, no, diverged, n/a (none), not done.
    Metrics are None while there are none; `theta` and `gamma` where a strategy has none.
    """

    strategy: str
    title: str
    gamma: float | None
    seed: int
    theta: float | None
    copies: int
    search: str
    training: str
    macs: int | None
    ne: float | None
    ne_standard_error: float | None
    auc: float | None
    run: str


def study_table(rows: Sequence[Row]) -> Table:
    """Draw a line for each strategy, γ, seed, θ and M, in 80 columns; NE with its standard error."""
    table = Table(title="Did search and training converge, and what was found?", title_justify="left")
    table.box, table.padding, table.show_edge = box.SIMPLE_HEAD, (0, 0), False
    for name in ("strategy", "search", "training"):
        table.add_column(name, no_wrap=True)
    for name in ("γ", "seed", "θ", "M", "MACs (M)", "NE", "AUC"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.title,
            row.search,
            row.training,
            *("–" if value is None else f"{value:g}" for value in (row.gamma, row.seed, row.theta, row.copies)),
            "–" if row.macs is None else f"{row.macs / 1e6:,.3f}",
            "–" if row.ne is None else f"{row.ne:.4f}±{row.ne_standard_error or 0.0:.4f}",
            "–" if row.auc is None else f"{row.auc:.4f}",
        )
    return table
