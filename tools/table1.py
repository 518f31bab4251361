"""Show the trained models of runs like the paper's Table I: cost, NE, NE relative to DLRM, AUC, LogLoss.

For example:

    python tools/table1.py runs/quickstart
    python tools/table1.py runs/criteo_terabyte --paper      the paper's numbers below
    python tools/table1.py runs/quickstart --markdown        or --json
"""

from argparse import Namespace

import face

from distdnas_hpc.report.paper_tables import table_1, table_1_grid
from distdnas_hpc.report.table import caveat


def work(given: Namespace) -> None:
    """Make the table."""
    runs = face.read(given.runs)
    rows = table_1(runs, paper=given.paper)
    if given.json:
        face.tell_json(rows)
    elif given.markdown:
        face.out.print(table_1_grid(rows).markdown(), markup=False)
    else:
        face.out.print(table_1_grid(rows).rich())
        for results in runs:
            face.out.print(f"{results.run}, tested on day {results.config.train.test_day}: {caveat(results)}")


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_runs(parser)
    parser.add_argument("--paper", action="store_true", help="add the paper's numbers, of the full Criteo Terabyte")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--markdown", action="store_true", help="print Markdown")
    how.add_argument("--json", action="store_true", help="print JSON for a script")
    face.main(parser, work)
