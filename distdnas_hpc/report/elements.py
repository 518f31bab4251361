"""The parts that sections of the page are made of."""

from collections.abc import Iterable, Mapping, Sequence

from distdnas_hpc.report.markup import Markup, join, tag
from distdnas_hpc.report.style import STYLE

COLOURS = 5
"""Lines that have a colour of their own; more could not be told apart."""


def document(title: str, eyebrow: str, name: str, lead: str, facts: Mapping[str, str], *sections: Markup | None) -> str:
    """Return a whole page as HTML: under its name the findings in a sentence, a few facts, then the sections."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    header = tag(
        "header",
        tag("p", eyebrow, class_="eyebrow"),
        tag("h1", name),
        tag("p", lead, class_="lead"),
        tag("dl", *(tag("div", tag("dt", key), tag("dd", value)) for key, value in facts.items()), class_="facts"),
    )
    footer = tag("footer", "Written by distdnas_hpc, an implementation of DistDNAS on Slurm.")
    body = tag("body", header, tag("main", *sections), footer)
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def section(name: str, title: str, content: Markup) -> Markup:
    """Return a section of the page under its heading."""
    return tag("section", tag("h2", title), tag("div", content), id=name)


def figure(drawn: Markup, caption: str) -> Markup:
    """Return a figure with a caption, if that is not empty."""
    return tag("figure", drawn, tag("figcaption", caption) if caption else None)


def side_by_side(drawn: Iterable[tuple[Markup, str]], note: str) -> Markup:
    """Return figures with captions beside each other, where there is room, and a note below them."""
    figures = tag("div", *(figure(each, caption) for each, caption in drawn), class_="grid")
    return join(figures, tag("p", note, class_="note"))


def absent(sentence: str) -> Markup:
    """Return the notice that stands where a part of the run is missing."""
    return tag("p", sentence, class_="absent")


def legend(names: Iterable[str], colour: str) -> Markup:
    """Return names beside their colours, the style classes `colour`1 to `colour`5; later names share one, unnamed."""
    known = list(names)
    entries = [tag("li", tag("i", class_=f"{colour}{i}"), name) for i, name in enumerate(known[:COLOURS], 1)]
    if len(known) > COLOURS:
        entries.append(tag("li", tag("i", class_="others"), f"{len(known) - COLOURS} others: hover over their lines"))
    return tag("ul", *entries, class_="legend")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], class_: str) -> Markup:
    """Return a table whose first column names the row; roles are kept where the style stacks cells."""
    head = tag("tr", *(tag("th", header, scope="col", role="columnheader") for header in headers), role="row")
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row", role="rowheader"),
            *(
                tag("td", cell, role="cell", data_label=header)
                for header, cell in zip(headers[1:], row[1:], strict=True)
            ),
            role="row",
        )
        for row in rows
    ]
    return tag(
        "table", tag("thead", head, role="rowgroup"), tag("tbody", *body, role="rowgroup"), class_=class_, role="table"
    )
