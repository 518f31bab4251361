"""What the tools share: they run from a checkout, nothing installed, and end like the `distdnas` command.

They need numpy, pyarrow, h5py, hdf5plugin, PyYAML, pydantic and rich, and CairoSVG for figures as PNG or PDF; not
torch, which takes gigabytes where nothing is trained. Import this module first: it finds the package beside it.
"""

import json
import math
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.markup import Markup
from distdnas_hpc.report.parts import Found
from distdnas_hpc.report.results import Results, read_results
from distdnas_hpc.report.sheet import sheet, write_figure

out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 200)


def parser(about: str | None) -> ArgumentParser:
    """Return a parser whose help is the tool's docstring."""
    return ArgumentParser(description=about, formatter_class=RawDescriptionHelpFormatter)


def takes_run(parser: ArgumentParser) -> None:
    """Add the one run folder."""
    parser.add_argument("run", metavar="RUN", type=Path, help="a run folder, e.g. runs/quickstart")


def takes_runs(parser: ArgumentParser) -> None:
    """Add run folders, one at least."""
    told = "run folders, e.g. runs/quickstart; a study's stands for its runs"
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help=told)


def takes_json(parser: ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print JSON for a script")


def takes_figure(parser: ArgumentParser, default: str) -> None:
    """Add --out for a figure."""
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path(default),
        help="the figure; .svg, .png or .pdf says how it is drawn (default: %(default)s here; replaced if it is there)",
    )


def read(runs: list[Path]) -> list[Results]:
    """Read run folders, each once; of a study's, its runs, and itself where something was trained there too."""
    found: list[Path] = []
    for run in runs:
        of_study = sorted(path.parent for path in run.glob("study/*/config.yaml"))
        found += [*of_study, *([run] if not of_study or (run / "train").is_dir() else [])]
    return [read_results(run) for run in dict.fromkeys(found)]


def found_by(results: Results) -> Found:
    """Return what the search of a run found; a UserError says why there is nothing."""
    if results.found is None and results.config.strategy == "supernet":
        raise UserError(f"{results.run} keeps the whole supernet; nothing was searched there.")
    if results.found is None:
        raise UserError(f"{results.run} has no mean over its days yet; see 'distdnas status {results.run}'.")
    return results.found


def show(given: Namespace, name: str, title: str, rows: Sequence[Sequence[Markup]], numbers: Any = None) -> None:
    """Write drawings, row by row, as the figure that --out names; or tell their numbers, where --json asks for them."""
    if getattr(given, "json", False):
        tell_json(numbers)
        return
    out.print(f"Figure: {write_figure(sheet(name, title, rows), given.out)}")


def tell_json(content: Any) -> None:
    """Print plain values as JSON; what is not a number becomes null."""
    sys.stdout.write(json.dumps(_finite(content), indent=2) + "\n")


def main(parser: ArgumentParser, work: Callable[[Namespace], None]) -> None:
    """Do the work; it ends with 0 (fine), 1 (failed or stopped) or 2 (wrong use or faulty input, in a sentence)."""
    arguments = parser.parse_args()
    try:
        work(arguments)
    except UserError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(1)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
