"""A study's findings over seeds: mean and spread for each strategy, γ, θ and M."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from distdnas_hpc.report.study_table import Row


class Spread(NamedTuple):
    """Mean over seeds, and the standard deviation between them (ddof 1); None for one seed."""

    mean: float
    deviation: float | None
    seeds: int


class Summary(NamedTuple):
    """What the seeds of one strategy, γ, θ and M found together; a metric is None where no seed has it.

    `title` tells of γ, θ and M those that differ in the study.
    """

    title: str
    strategy: str
    rows: tuple[Row, ...]
    macs: Spread | None
    auc: Spread | None
    ne: Spread | None

    def converged(self, what: str) -> str:
        """Say of how many seeds `what`, search or training, converged: '2 of 3', or what all have in common."""
        words = [getattr(row, what) for row in self.rows]
        if len(set(words)) == 1:
            return words[0]
        return f"{words.count('yes')} of {len(words)}"


def summaries(rows: Sequence[Row]) -> list[Summary]:
    """Put the rows of a study together that differ in their seed alone, in their order."""
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.strategy, row.gamma, row.theta, row.copies), []).append(row)
    several = {
        symbol: name
        for symbol, name in (("γ", "gamma"), ("θ", "theta"), ("M", "copies"))
        if len({getattr(row, name) for row in rows} - {None}) > 1
    }
    told = []
    for members in groups.values():
        first = members[0]
        values = {symbol: getattr(first, name) for symbol, name in several.items()}
        differing = ", ".join(f"{symbol}={value:g}" for symbol, value in values.items() if value is not None)
        title = f"{first.title} ({differing})" if differing else first.title
        spreads = [_spread([getattr(row, name) for row in members]) for name in ("macs", "auc", "ne")]
        told.append(Summary(title, first.strategy, tuple(members), *spreads))
    return told


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    deviation = statistics.stdev(known) if len(known) > 1 else None
    return Spread(statistics.fmean(known), deviation, len(known))
