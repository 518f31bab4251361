"""Show how far the searched days of a run agree, and what the kept modules owe to a single day.

Tells mean α and β ± spread between days, which days differ from the mean (Spearman's rank correlation of each day with
it), and the modules that would be kept without a day. For example:

    python tools/aggregate_days.py runs/quickstart
    python tools/aggregate_days.py runs/quickstart --theta 0.25 --json
"""

from argparse import Namespace
from typing import Any

import face

from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.report.agreement import Agreement, agreement
from distdnas_hpc.report.grid import Grid
from distdnas_hpc.report.page_agreement import in_words, without
from distdnas_hpc.report.parts import Found
from distdnas_hpc.report.results import read_results
from distdnas_hpc.search.aggregate import discretize

SIDES = (("alpha", "α", DENSE_MODULES), ("beta", "β", SPARSE_MODULES))


def work(given: Namespace) -> None:
    """Compare the days."""
    results = read_results(given.run)
    found = face.found_by(results)
    if results.whole is not None:
        raise UserError(f"{given.run} searched {results.whole.what} in one task: there are no days to compare.")
    theta = given.theta or found.theta
    if not 0 < theta < 1:
        raise UserError(f"--theta is {theta:g} but must lie between 0 and 1, like a probability.")
    told = agreement(results, theta)
    if given.json:
        face.tell_json(_plain(found, told, theta))
        return
    for grid in _means(found, theta):
        face.out.print(grid.rich())
    face.out.print(f"Mean ± standard deviation over {len(found.days)} days; * is kept at θ={theta:g}.\n")
    if told is None:
        face.out.print("One day alone: nothing to compare it with.")
        return
    rows = [
        (str(day.day), "n/a" if day.rank_correlation is None else f"{day.rank_correlation:.3f}", without(day))
        for day in told.days
    ]
    face.out.print(Grid(("Day", "ρ with the mean", "Kept without it"), rows, left=("Kept without it",)).rich())
    face.out.print(in_words(told))


def _means(found: Found, theta: float) -> list[Grid]:
    kept = discretize(found.alpha, found.beta, theta)
    grids = []
    for (side, symbol, modules), names in zip(SIDES, (kept.dense, kept.sparse), strict=True):
        mean, spread = getattr(found, side), getattr(found, f"{side}_spread")
        rows = [
            (str(i + 1), *(f"{m:.3f} ± {s:.3f} {'*' if name in names[i] else ' '}" for name, m, s in row))
            for i, row in enumerate(zip(modules, *pair, strict=True) for pair in zip(mean, spread, strict=True))
        ]
        grids.append(Grid((symbol, *modules), rows))
    return grids


def _plain(found: Found, told: Agreement | None, theta: float) -> dict[str, Any]:
    weights = {name: getattr(found, name).tolist() for name in ("alpha", "beta", "alpha_spread", "beta_spread")}
    kept = discretize(found.alpha, found.beta, theta).to_dict()
    days = told.to_dict() if told else {"days": [], "stability": None}
    return {"averaged_days": list(found.days), **weights, "kept": kept, **days, "theta": theta}


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_run(parser)
    parser.add_argument("--theta", type=float, help="threshold of the kept set (default: the run's)")
    face.takes_json(parser)
    face.main(parser, work)
