"""Drawings as files: several on one sheet, as SVG, PNG or PDF."""

import re
from collections.abc import Sequence
from pathlib import Path

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.markup import Markup, tag
from distdnas_hpc.report.svg import drawing, standalone
from distdnas_hpc.storage import atomic_write, write_text

SUFFIXES = (".svg", ".png", ".pdf")
GAP, MARGIN = 28.0, 12.0
"""Pixels between two drawings of a sheet, and around all."""
SCALE = 3.0
"""Pixels of a PNG for each of a drawing's."""


def sheet(name: str, title: str, rows: Sequence[Sequence[Markup]]) -> Markup:
    """Put drawings beside and below each other into one.

    Parameters
    ----------
    rows : of what `svg.drawing` returned, from the top.
    """
    parts, y, widest = list[Markup](), MARGIN, 0.0
    for row in rows:
        x, highest = MARGIN, 0.0
        for image in row:
            width, height = size(image)
            parts.append(tag("g", Markup(_content(image)), transform=f"translate({x:g} {y:g})"))
            x, highest = x + width + GAP, max(highest, height)
        widest, y = max(widest, x - GAP), y + highest + GAP
    said = "; ".join(re.findall(r"<title id=[^>]*>([^<]*)</title>", "".join(image for row in rows for image in row)))
    return drawing(name, title, f"{said}.", widest + MARGIN, y - GAP + MARGIN, *parts)


def size(image: Markup) -> tuple[float, float]:
    """Return a drawing's width and height in pixels."""
    found = re.search(r'viewBox="0 0 (\S+) (\S+)"', image)
    assert found is not None
    return float(found[1]), float(found[2])


def _content(image: Markup) -> str:
    return image[image.index(">") + 1 :].removesuffix("</svg>")


def write_figure(image: Markup, path: Path) -> Path:
    """Write a drawing in light colours as the kind of file that the path's ending names, and return the path.

    Raises
    ------
    UserError : another ending; PNG or PDF without CairoSVG; no such folder.
    """
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise UserError(f"{path}: a figure's name ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; choose one.")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; make it, or choose another.")
    if kind == ".svg":
        write_text(path, standalone(image))
        return path
    try:
        import cairosvg
    except (ImportError, OSError):  # OSError: the Cairo library itself is missing
        raise UserError(
            f"{path} can't be drawn: {kind} takes CairoSVG and the Cairo library ('pip install cairosvg', Debian's "
            "libcairo2); install them, or give a name that ends in .svg."
        ) from None
    convert, options = (cairosvg.svg2png, {"scale": SCALE}) if kind == ".png" else (cairosvg.svg2pdf, {})
    with atomic_write(path) as temporary:
        convert(bytestring=standalone(image).encode(), write_to=str(temporary), **options)
    return path
