"""Draw what each interaction module costs to serve, in block 1 and in the later blocks: the paper's Figure 5.

For example:

    python tools/plot_cost_importance.py runs/quickstart --out cost.svg
    python tools/plot_cost_importance.py runs/quickstart --json
"""

from argparse import Namespace

import face

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.cost_table import cost_rows
from distdnas_hpc.report.figures import cost_importance
from distdnas_hpc.report.results import read_results


def work(given: Namespace) -> None:
    """Draw the figure, or tell its numbers."""
    cost = read_results(given.run).cost
    if cost is None:
        raise UserError(f"{given.run} has no cost importance yet; see 'distdnas status {given.run}'.")
    numbers = {"r2": cost.r2, "samples": cost.samples, "modules": cost_rows(cost)}
    face.show(given, "cost", "Cost importance", [[cost_importance(cost)]], numbers)


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_run(parser)
    face.takes_figure(parser, "cost_importance.svg")
    face.takes_json(parser)
    face.main(parser, work)
