"""Draw AUC and relative NE of models that are trained on days 1 to t and tested on day t+1: the paper's Figure 7.

The run's config must name models under train.recurring, e.g. [distdnas, dcnv2, dlrm]. For example:

    python tools/plot_recurring.py runs/recurring --out figure7.svg
    python tools/plot_recurring.py runs/recurring --json
"""

from argparse import Namespace

import face

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.recurring import has_baseline, next_days, next_days_rows, read_next_days
from distdnas_hpc.report.results import read_results


def work(given: Namespace) -> None:
    """Draw the figure, or tell its numbers."""
    models = read_next_days(given.run, read_results(given.run).config)
    if not models:
        raise UserError(
            f"{given.run} has no recurring training yet; name models under train.recurring in its config and run it "
            f"again, or see 'distdnas status {given.run}'."
        )
    drawn = [next_days(models, "auc"), *([next_days(models, "ne")] if has_baseline(models) else [])]
    face.show(given, "recurring", "Recurring training", [drawn], next_days_rows(models))


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_run(parser)
    face.takes_figure(parser, "recurring.svg")
    face.takes_json(parser)
    face.main(parser, work)
