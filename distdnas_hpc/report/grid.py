"""A small table of text: for a terminal and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Grid:
    """Headers and rows of text; the first column, and those named in `left`, begin at the left."""

    headers: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    left: tuple[str, ...] = ()

    def rich(self) -> Table:
        """Return the table for a terminal."""
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        for index, header in enumerate(self.headers):
            table.add_column(header, justify="left" if self._is_left(index) else "right")
        for row in self.rows:
            table.add_row(*map(Text, row))  # as Text: a title is no markup
        return table

    def markdown(self) -> str:
        """Return the table as Markdown."""
        rules = [":--" if self._is_left(index) else "--:" for index in range(len(self.headers))]
        rows = [self.headers, rules, *self.rows]
        return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)

    def _is_left(self, index: int) -> bool:
        return index == 0 or self.headers[index] in self.left
