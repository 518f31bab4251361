"""What every model costs, beside the paper's Table I, for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

HEADERS = ("Model", "MACs\n(M)", "Paper", "Diff.", "Inter-\nactions\n(M)", "Paper", "Diff.", "Params\n(M)")


def models_table(content: Mapping[str, Any]) -> RenderableType:
    """Draw what `models.costs` returns in 80 columns, and say what is not there and where the tables come from."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for header in HEADERS:
        table.add_column(header, justify="left" if header == "Model" else "right", no_wrap=True)
    for row in content["models"]:
        macs = _beside(row["macs"], row["paper_macs"])
        interactions = _beside(row["interaction_parameters"], row["paper_interaction_parameters"])
        parameters = row["parameters"]
        told = [*macs, *interactions, "" if parameters is None else f"{parameters / 1e6:.2f}"]
        table.add_row(Text(row["title"]), *told)
    return Group(table, *(Text(note) for note in content["notes"]))


def _beside(ours: int, papers: float | None) -> tuple[str, str, str]:
    """Return our count and the paper's in millions, and the difference; the paper's is known to two decimals."""
    if papers is None:
        return f"{ours / 1e6:.3f}", "", ""
    return f"{ours / 1e6:.3f}", f"{papers / 1e6:.2f}", f"{ours / papers - 1:+.1%}".replace("-", "−")
