"""The report's section on whether the days agree."""

from distdnas_hpc.report.agreement import Agreement, DayAgreement
from distdnas_hpc.report.elements import absent, figure, table
from distdnas_hpc.report.markup import Markup, join, tag
from distdnas_hpc.report.svg import Plot, drawing, text
from distdnas_hpc.report.words import days_in_words

WIDTH, LEFT, ROW = 400, 52, 18
"""Pixels of the figure, of its day names, and of a day's row."""


def agreement_section(told: Agreement | None) -> Markup:
    """Return the content of the section; `told` is None where there are no two days to compare."""
    if told is None:
        return absent("No agreement: it takes the weights of two finished days, and their mean, to compare.")
    return join(
        tag("p", in_words(told)),
        figure(
            rank_correlations(told),
            "Spearman’s ρ between the weights of each day and their mean over days, among the five modules of a side "
            "of a block, averaged over blocks and sides: 1 where a day ranks the modules like the mean. Filled: the "
            "days without which another set of modules would be kept.",
        ),
        tag(
            "details",
            tag("summary", "What would be kept without a day"),
            table(
                ("Day", "Added and dropped without it"), [(str(day.day), without(day)) for day in told.days], "stack"
            ),
        ),
    )


def in_words(told: Agreement) -> str:
    """Say which day differs most, and what the kept set owes to single days."""
    odd, decisive = told.least_like, told.decisive
    first = (
        f"Day {odd.day} is least like the mean (ρ {odd.rank_correlation:.2f})."
        if odd
        else "All weights are equal, so no day ranks the modules."
    )
    if not decisive:
        return f"{first} Leaving out any single day keeps the same modules at θ={told.theta:g}."
    most = max(decisive, key=lambda day: len(day.added) + len(day.dropped))
    changed = len(most.added) + len(most.dropped)
    return (
        f"{first} For {told.stability:.0%} of the modules, being kept at θ={told.theta:g} or not hangs on no single "
        f"day; leaving out {days_in_words([day.day for day in decisive])} would change the kept set, "
        f"day {most.day} most ({changed} {'module' if changed == 1 else 'modules'})."
    )


def without(day: DayAgreement) -> str:
    """Write what the other days alone would add and drop."""
    return ", ".join([*(f"+ {name}" for name in day.added), *(f"− {name}" for name in day.dropped)]) or "the same set"


def rank_correlations(told: Agreement) -> Markup:
    """Draw one row a day with a dot at its rank correlation."""
    known = [day.rank_correlation for day in told.days if day.rank_correlation is not None]
    low = min([0.0, *known])
    plot = Plot(LEFT, 22, WIDTH - LEFT - 12, ROW * len(told.days), (low, 1), (0, len(told.days)))
    parts: list[Markup] = []
    for index, day in enumerate(told.days):
        y = plot.top + ROW * (index + 0.5)
        parts.append(text(0, y + 4, f"day {day.day}", "label"))
        if day.rank_correlation is None:
            parts.append(text(plot.left + 4, y + 4, "all weights equal", "tick"))
            continue
        x = plot.x(day.rank_correlation)
        decisive = bool(day.added or day.dropped)
        tooltip = f"day {day.day}: ρ {day.rank_correlation:.3f}; without it: {without(day)}"
        parts.append(tag("line", x1=plot.x(0), x2=x, y1=y, y2=y, class_="lollipop"))
        dot = tag("circle", tag("title", tooltip), cx=x, cy=y, r=4.5, class_=f"point {'found' if decisive else 'day'}")
        parts.append(dot)
    said = "; ".join(
        f"day {day.day} " + ("n/a" if day.rank_correlation is None else f"{day.rank_correlation:.3f}")
        for day in told.days
    )
    return drawing(
        "agreement",
        "Rank correlation of each day’s weights with their mean over days",
        f"{said}.",
        WIDTH,
        plot.top + plot.height + 20,
        text(0, 11, "rank correlation with the mean, ρ", "heading"),
        plot.axes(y_count=0),
        *parts,
    )
