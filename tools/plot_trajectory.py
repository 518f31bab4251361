"""Draw how α and β of each block went over the steps of the search, a line a module and day.

For example:

    python tools/plot_trajectory.py runs/quickstart
    python tools/plot_trajectory.py runs/quickstart --day 1 --day 3 --out days.svg
"""

from argparse import Namespace

import face

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.figures import module_legend, weight_trajectories
from distdnas_hpc.report.results import read_results

BESIDE = 4
"""Blocks beside each other on the sheet."""


def work(given: Namespace) -> None:
    """Draw the figure."""
    results = read_results(given.run)
    missing = sorted(set(given.day or ()) - set(results.days))
    if missing or not results.searches:
        which = f"day {missing[0]}" if missing else "any day"
        raise UserError(f"{given.run} has no finished search of {which}; see 'distdnas status {given.run}'.")
    days = [results.days[day] for day in sorted(given.day)] if given.day else results.searches
    blocks, theta = range(days[0].alpha.shape[1]), results.config.search.theta[0]
    rows = []
    for side in ("alpha", "beta"):
        drawn = [weight_trajectories(side, block, days, theta) for block in blocks]
        rows += [[module_legend(side)], *(drawn[at : at + BESIDE] for at in range(0, len(drawn), BESIDE))]
    face.show(given, "trajectory", "Architecture weights over steps", rows)


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_run(parser)
    parser.add_argument("--day", type=int, action="append", help="a day to show, may be repeated (default: all)")
    face.takes_figure(parser, "trajectory.svg")
    face.main(parser, work)
