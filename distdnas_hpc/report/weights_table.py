"""α and β for a terminal: a bar for each module of each block."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES

BAR = 6
"""Characters of a bar at probability 1, so that five fit 80 columns beside their numbers."""
EIGHTHS = " ▏▎▍▌▋▊▉"


def weights_table(alpha: ArrayLike, beta: ArrayLike) -> RenderableType:
    """Draw the modules' probabilities, dense and sparse, (N, 5) each or flat; the best of a block is bold."""
    return Group(_side("α", DENSE_MODULES, alpha), _side("β", SPARSE_MODULES, beta))


def _side(letter: str, modules: Sequence[str], probabilities: ArrayLike) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(letter, justify="right")
    for name in modules:
        table.add_column(name, min_width=5 + BAR, no_wrap=True)
    for block, row in enumerate(np.reshape(probabilities, (-1, len(modules))), start=1):
        cells = [Text(f"{p:.2f} {_bar(p)}", "bold" if p == row.max() > row.min() else "") for p in row]
        table.add_row(str(block), *cells)
    return table


def _bar(share: float) -> str:
    full, rest = divmod(round(share * BAR * 8), 8)
    return ("█" * full + EIGHTHS[rest]).rstrip()
