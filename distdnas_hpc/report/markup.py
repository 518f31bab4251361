"""HTML and SVG from plain calls: text is escaped unless it is markup already, so nothing from a file breaks a page."""

import html

VOID = frozenset({"meta", "br", "wbr"})
"""HTML elements that are written without an end."""


class Markup(str):
    """Text that is HTML or SVG already."""

    __slots__ = ()


def tag(name: str, *children: str | None, **attributes: str | float | None) -> Markup:
    """Return one element.

    Parameters
    ----------
    children : text, escaped here, or `Markup`, taken as it is; None is left out.
    attributes : written with '-' for '_' and without a trailing '_' (`class_`, `stroke_width`); numbers with at most
        two decimals, None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>" if name in VOID else f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Return children one after the other, as `tag` writes them."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(child, quote=False)
            for child in children
            if child is not None
        )
    )


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) else f"{value:.2f}".rstrip("0").rstrip(".")
