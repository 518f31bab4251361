"""Draw AUC or NE of the trained models of runs against their MACs, with the Pareto frontier: the paper's Figure 1.

For example:

    python tools/plot_pareto.py runs/quickstart
    python tools/plot_pareto.py runs/criteo_terabyte --metric ne --paper --out pareto.pdf
"""

from argparse import Namespace

import face

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.pareto import pareto, points_of, points_of_paper


def work(given: Namespace) -> None:
    """Draw the figure."""
    runs = face.read(given.runs)
    points = [point for results in runs for point in points_of(results, given.metric)]
    if not points:
        raise UserError(f"None of these runs has a trained model with {given.metric} yet; see 'distdnas status RUN'.")
    points += points_of_paper(given.metric) if given.paper else []
    days = {results.config.train.test_day for results in runs}
    drawn = pareto(points, given.metric, f"day {days.pop()}" if len(days) == 1 else "")
    face.show(given, "pareto", "Pareto plot", [[drawn]])


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_runs(parser)
    parser.add_argument("--metric", choices=("auc", "ne"), default="auc", help="(default: %(default)s)")
    parser.add_argument("--paper", action="store_true", help="add the paper's models, of the full Criteo Terabyte")
    face.takes_figure(parser, "pareto.svg")
    face.main(parser, work)
