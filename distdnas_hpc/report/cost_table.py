"""What each module costs: a table for the terminal, plain values for scripts, a figure for a paper."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.report.figures import cost_importance
from distdnas_hpc.report.parts import Cost
from distdnas_hpc.report.svg import standalone
from distdnas_hpc.storage import write_text


def cost_rows(cost: Cost) -> list[dict[str, Any]]:
    """Return one row a module: side, module, and s in block 1 and in each later block (None where there is none)."""
    sides = (("dense", DENSE_MODULES, cost.dense), ("sparse", SPARSE_MODULES, cost.sparse))
    return [
        {"side": side, "module": name, "block_1": float(s[0, j]), "later": float(s[1, j]) if cost.later else None}
        for side, modules, s in sides
        for j, name in enumerate(modules)
    ]


def cost_table(cost: Cost) -> RenderableType:
    """Return the rows for a terminal, and how well the cost model explains what it has not seen."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for header in ("", "Module"):
        table.add_column(header, no_wrap=True)
    for header in ("Block 1", *([cost.later.capitalize()] if cost.later else [])):
        table.add_column(header, justify="right", no_wrap=True)
    for row in cost_rows(cost):
        values = [row["block_1"], *([row["later"]] if cost.later else [])]
        new_side = row["module"] in (DENSE_MODULES[0], SPARSE_MODULES[0])
        last = row["module"] == DENSE_MODULES[-1]
        table.add_row(row["side"] if new_side else "", row["module"], *(f"{s:.3f}" for s in values), end_section=last)
    explained = f"Cost importance s of {cost.samples:,} sampled architectures; held-out R² {cost.r2:.3f}"
    return Group(table, Text(explained))


def write_cost_figure(cost: Cost, folder: Path) -> Path:
    """Write the figure like the paper's Figure 5 into a folder, and return its path."""
    path = folder / "importance.svg"
    write_text(path, standalone(cost_importance(cost)))
    return path
