"""Gather the trained models of many runs into one table, a row a run and model: CSV, Parquet, or JSON on the terminal.

For example:

    python tools/collect_results.py runs/* --out results.csv
    python tools/collect_results.py runs/quickstart --json

Folders that are no runs are refused; models that are not trained yet have no row.
"""

from argparse import Namespace
from pathlib import Path

import face

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.collect import collect, write_rows


def work(given: Namespace) -> None:
    """Gather the rows."""
    rows = collect(face.read(given.runs))
    if given.json:
        face.tell_json(rows)
        return
    if not rows:
        raise UserError("None of these runs has a trained model yet; see 'distdnas status RUN'.")
    write_rows(rows, given.out)
    face.out.print(f"models: {len(rows)}, runs: {len({row['run'] for row in rows})}, written to {given.out}")


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_runs(parser)
    parser.add_argument(
        "--out", metavar="FILE", type=Path, default=Path("results.csv"), help="a new .csv or .parquet (%(default)s)"
    )
    face.takes_json(parser)
    face.main(parser, work)
