"""Show which strategies of search converge and what they find, like the paper's Table II.

Give runs, or the run folder of a study ('distdnas study'), which stands for its runs; docs/study.md says what
'converged' means. For example:

    python tools/table2.py runs/distributed runs/quickstart
    python tools/table2.py runs/study --paper
    python tools/table2.py runs/study --json
"""

from argparse import Namespace

import face

from distdnas_hpc.report.grid import Grid
from distdnas_hpc.report.paper import TABLE_2
from distdnas_hpc.report.strategies import strategy_rows
from distdnas_hpc.report.study_table import study_table


def work(given: Namespace) -> None:
    """Make the table."""
    rows = strategy_rows(face.read(given.runs))
    if given.json:
        face.tell_json([row._asdict() for row in rows])
        return
    face.out.print(study_table(rows))
    if given.paper:
        headers = ("In the paper", "Search converges?", "Training converges?", "FLOPs/NE")
        face.out.print(Grid(headers, TABLE_2, left=headers[1:]).rich())


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_runs(parser)
    parser.add_argument("--paper", action="store_true", help="show the paper's table below")
    face.takes_json(parser)
    face.main(parser, work)
