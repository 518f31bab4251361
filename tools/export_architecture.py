"""Write the architecture that a run's mean weights keep at a threshold, without a new search, as YAML or JSON.

For example:

    python tools/export_architecture.py runs/quickstart --theta 0.25
    python tools/export_architecture.py runs/quickstart --out network.yaml
"""

from argparse import Namespace
from pathlib import Path

import face
import yaml

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.results import read_results
from distdnas_hpc.search.aggregate import discretize
from distdnas_hpc.storage import write_text


def work(given: Namespace) -> None:
    """Discretize and write."""
    results = read_results(given.run)
    found = face.found_by(results)
    theta = found.theta if given.theta is None else given.theta
    if not 0 < theta < 1:
        raise UserError(f"--theta is {theta:g} but must lie between 0 and 1, like a probability.")
    content = {
        "run": str(given.run),
        "config": results.config.fingerprint(),
        "days": list(found.days),
        "theta": theta,
        **discretize(found.alpha, found.beta, theta).to_dict(),
    }
    if given.json:
        face.tell_json(content)
        return
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)
    if given.out is None:
        face.out.print(text, end="", markup=False)
        return
    if given.out.exists():
        raise UserError(f"{given.out} is there already and is not overwritten; remove it or choose another name.")
    write_text(given.out, text)
    face.out.print(f"Architecture at θ={theta:g}: {given.out}")


if __name__ == "__main__":
    parser = face.parser(__doc__)
    face.takes_run(parser)
    parser.add_argument("--theta", type=float, help="threshold (default: the run's)")
    parser.add_argument("--out", metavar="FILE", type=Path, help="a new file (default: the terminal)")
    face.takes_json(parser)
    face.main(parser, work)
