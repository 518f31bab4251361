"""Draw rows a second of the whole search against how many day tasks ran at a time: the paper's Figure 4.

Give runs that had different numbers of devices; it is the DistDNAS line of the figure. For example:

    python tools/plot_scaling.py runs/one_gpu runs/two_gpus runs/eight_gpus --out scaling.pdf
    python tools/plot_scaling.py runs/quickstart --json
"""

from argparse import Namespace

import face

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.expense import expense
from distdnas_hpc.report.scaling import scaling, throughputs


def work(given: Namespace) -> None:
    """Draw the figure, or tell its numbers."""
    runs = face.read(given.runs)
    measured = throughputs(runs)
    if not measured:
        raise UserError("None of these runs has a finished search yet; see 'distdnas status RUN'.")
    numbers = [{"run": str(r.run), **cost.to_dict()} for r in runs if (cost := expense(r))]
    face.show(given, "scaling", "Throughput of the search", [[scaling(measured)]], numbers)


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_runs(parser)
    face.takes_figure(parser, "scaling.svg")
    face.takes_json(parser)
    face.main(parser, work)
