"""The kept architecture as a diagram: blocks from the stem to the head (paper, Figure 3)."""

from distdnas_hpc.report.markup import Markup, tag
from distdnas_hpc.report.parts import Found
from distdnas_hpc.report.svg import drawing, text

WIDTH = 400.0
DENSE, SPARSE, COLUMN = 60.0, 234.0, 142.0
"""Left edges of the two columns of modules, and their width."""
ROW, GAP = 26.0, 40.0
"""Heights of a module and of the way between two blocks."""


def architecture_diagram(found: Found) -> Markup:
    """Draw every block with the modules it keeps and where its inputs come from."""
    architecture = found.architecture
    parts: list[Markup] = [_end(0, "stem")]
    ports = [34.0]  # where each block's outputs leave, the stem's first
    y = 34.0 + GAP
    for i, (dense, sparse) in enumerate(zip(architecture.dense, architecture.sparse, strict=True)):
        height = max(len(dense), len(sparse)) * ROW + 14
        parts.append(_way(ports[-1], y))
        if i > 0:
            parts.append(_skip(ports[-2], y, lane=24.0 if i % 2 else 12.0))
        parts.append(_block(i, y, height, dense, sparse))
        y += height
        ports.append(y)
        y += GAP
    parts += [_way(ports[-1], y), _end(y, "head → click probability")]
    kept = "; ".join(
        f"block {i}: dense {', '.join(dense)}, sparse {', '.join(sparse)}"
        for i, (dense, sparse) in enumerate(zip(architecture.dense, architecture.sparse, strict=True), 1)
    )
    return drawing(
        "architecture",
        f"The architecture: {architecture.blocks} blocks with {found.kept} modules",
        f"From the stem to the head. {kept}. Each block reads the dense outputs of the two before it and the sparse "
        "output of the one before it.",
        WIDTH,
        y + 34,
        *parts,
    )


def _block(i: int, y: float, height: float, dense: tuple[str, ...], sparse: tuple[str, ...]) -> Markup:
    chips = []
    for side, left, names in (("dense", DENSE, dense), ("sparse", SPARSE, sparse)):
        offset = (height - len(names) * ROW) / 2
        for j, name in enumerate(names):
            top = y + offset + j * ROW
            chips.append(tag("rect", x=left, y=top + 2, width=COLUMN, height=ROW - 4, rx=4, class_=f"chip {side}"))
            chips.append(text(left + COLUMN / 2, top + ROW / 2 + 4, name, "label", "middle"))
    middle = y + height / 2
    merger = tag("path", d=f"M {DENSE + COLUMN + 6} {middle} H {SPARSE - 6}", class_="way merger")
    box = tag("rect", x=DENSE - 8, y=y, width=SPARSE + COLUMN - DENSE + 16, height=height, rx=7, class_="block")
    arrows = (_head(DENSE + COLUMN + 6, middle, "left"), _head(SPARSE - 6, middle, "right"))
    return tag("g", tag("title", f"block {i + 1}"), box, *chips, merger, *arrows,
               text(WIDTH - 6, y + 14, str(i + 1), "heading", "end"))  # fmt: skip


def _end(y: float, name: str) -> Markup:
    box = tag("rect", x=DENSE - 8, y=y, width=SPARSE + COLUMN - DENSE + 16, height=34, rx=7, class_="block end")
    return tag("g", box, text((DENSE + SPARSE + COLUMN) / 2, y + 21, name, "label", "middle"))


def _way(start: float, end: float) -> Markup:
    """Draw the dense and the sparse output of one block going into the next."""
    parts = []
    for side, x in (("dense", DENSE + COLUMN / 2), ("sparse", SPARSE + COLUMN / 2)):
        parts += [tag("path", d=f"M {x} {start} V {end - 4}", class_=f"way {side}"), _head(x, end, "down", side)]
    return tag("g", *parts)


def _skip(start: float, end: float, lane: float) -> Markup:
    """Draw the dense output of the block before the last one, passing that one on the left."""
    x = DENSE + COLUMN / 4
    path = (
        f"M {x} {start} v 6 q 0 6 -6 6 H {lane + 6} q -6 0 -6 6 V {end - 26} q 0 6 6 6 H {x - 6} q 6 0 6 6 V {end - 4}"
    )
    return tag("g", tag("path", d=path, class_="way dense"), _head(x, end, "down", "dense"))


def _head(x: float, y: float, towards: str, class_: str = "merger") -> Markup:
    points = {
        "down": f"{x - 4:g},{y - 7:g} {x + 4:g},{y - 7:g} {x:g},{y:g}",
        "left": f"{x + 6:g},{y - 4:g} {x + 6:g},{y + 4:g} {x:g},{y:g}",
        "right": f"{x - 6:g},{y - 4:g} {x - 6:g},{y + 4:g} {x:g},{y:g}",
    }
    return tag("polygon", points=points[towards], class_=f"arrow {class_}")
