"""Show which strategies of search converge and what they find, like the paper's Table II.

Give runs, or the run folder of a study ('distdnas study'), which stands for its runs. For example:

    python tools/table2.py runs/distributed runs/quickstart
    python tools/table2.py runs/study --paper
    python tools/table2.py runs/study --json

A search converged where its LogLoss ended below that of answering the click rate to every row, a training where its NE
on the test day is below 1.
"""

from argparse import Namespace
from pathlib import Path

import face

from distdnas_hpc.report.grid import Grid
from distdnas_hpc.report.paper import TABLE_2
from distdnas_hpc.report.strategies import strategy_grid, strategy_rows


def work(given: Namespace) -> None:
    """Make the table."""
    rows = strategy_rows(face.read([run for folder in given.runs for run in _runs(folder)]))
    if given.json:
        face.tell_json(rows)
        return
    grid = strategy_grid(rows)
    face.out.print(grid.markdown() if given.markdown else grid.rich(), markup=False)
    if given.paper:
        headers = ("In the paper", "Search converges?", "Training converges?", "FLOPs/NE")
        paper = Grid(headers, TABLE_2, left=headers[1:])
        face.out.print(paper.markdown() if given.markdown else paper.rich(), markup=False)


def _runs(folder: Path) -> list[Path]:
    """Return a study's runs, or the one run that the folder is."""
    return sorted(path.parent for path in folder.glob("study/*/config.yaml")) or [folder]


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_runs(parser)
    parser.add_argument("--paper", action="store_true", help="show the paper's table below")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--markdown", action="store_true", help="print Markdown")
    how.add_argument("--json", action="store_true", help="print JSON for a script")
    face.main(parser, work)
