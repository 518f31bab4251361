"""α and β on a terminal."""

import io
import re

from rich.console import Console

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.report.weights_table import weights_table

ALPHA = [[0.2] * 5, [1.0, 0.0, 0.0, 0.0, 0.0]]
BETA = [[0.05, 0.05, 0.1, 0.3, 0.5], [0.2] * 5]


def drawn(width: int = 80, **options) -> list[str]:
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(weights_table(ALPHA, BETA))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_every_module_of_every_block_has_a_number_and_a_bar():
    lines = drawn()
    assert lines[0].split() == ["α", *DENSE_MODULES]
    assert lines[4].split() == ["β", *SPARSE_MODULES]
    assert lines[2].split() == ["1", *["0.20", "█▎"] * 5]
    assert lines[3].split() == ["2", "1.00", "██████", *["0.00"] * 4]
    assert lines[6].split() == ["1", "0.05", "▎", "0.05", "▎", "0.10", "▋", "0.30", "█▊", "0.50", "███"]


def test_fits_80_columns():
    assert drawn(80) == drawn(200)
    assert not any("…" in line for line in drawn(80))


def test_the_best_of_a_block_stands_out_where_there_is_one():
    text = "\n".join(drawn(force_terminal=True, color_system="standard"))
    bold = [cell for cell in re.findall(r"\x1b\[1m([^\x1b]*)\x1b", text) if cell[:1].isdigit()]
    assert [cell.split() for cell in bold] == [["1.00", "██████"], ["0.50", "███"]]


def test_flat_weights_are_taken_as_searches_tell_them():
    console = Console(file=io.StringIO(), width=80)
    console.print(weights_table(ALPHA[0] + ALPHA[1], BETA[0] + BETA[1]))
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == drawn()
