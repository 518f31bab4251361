"""Draw the mean architecture weights of runs as heat maps, or their kept networks as diagrams.

Runs are drawn below each other: the paper's Figure 6 compares distributed DNAS (γ = 0) with DistDNAS. For example:

    python tools/plot_architecture.py runs/quickstart
    python tools/plot_architecture.py runs/distributed runs/distdnas --out figure6.pdf
    python tools/plot_architecture.py runs/quickstart --diagram --out network.svg
"""

from argparse import Namespace

import face

from distdnas_hpc.report.diagram import architecture_diagram
from distdnas_hpc.report.figures import weight_map
from distdnas_hpc.report.svg import drawing, text


def work(given: Namespace) -> None:
    """Draw the figure."""
    runs = face.read(given.runs)
    if given.diagram:
        drawn = [architecture_diagram(face.found_by(results)) for results in runs]
        face.show(given, "network", "The kept network", [drawn])
        return
    rows = []
    for results in runs:
        name = f"{results.run.absolute().name}, γ={results.config.search.gamma:g}"
        rows.append([drawing("run", name, name, 400, 14, text(0, 11, name, "heading"))])
        rows.append([weight_map(side, face.found_by(results)) for side in ("alpha", "beta")])
    face.show(given, "weights", "Mean architecture weights", rows)


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_runs(parser)
    parser.add_argument("--diagram", action="store_true", help="draw the kept network instead of the heat maps")
    face.takes_figure(parser, "architecture.svg")
    face.main(parser, work)
