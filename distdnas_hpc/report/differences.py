"""How each model differs from DLRM on the same test rows: computed once, from all scores, and kept for every reader."""

from collections.abc import Iterable
from pathlib import Path

from distdnas_hpc.storage import read_yaml, write_yaml
from distdnas_hpc.train.scores import SCORES, Difference, comparer, read_scores

BASELINE = "dlrm"
"""The model that relative NE is taken against (paper, Table I)."""

DIFFERENCES = "differences.yaml"
"""In the folder of the report's task: a `Difference` a model, by the name of its task."""


def write_differences(run: Path, models: Iterable[str], folder: Path) -> None:
    """Compare the scores of models with the baseline's; nothing is written where the baseline has none.

    At the paper's size this takes a minute or two for each model, and some 5 GB of memory.

    Parameters
    ----------
    models : names of train tasks; those without scores are left out.
    folder : where `DIFFERENCES` goes.
    """
    (folder / DIFFERENCES).unlink(missing_ok=True)
    files = {name: run / "train" / name / SCORES for name in (BASELINE, *models)}
    there = {name: path for name, path in files.items() if path.is_file()}
    baseline = there.pop(BASELINE, None)
    if baseline is None:
        return
    compare = comparer(read_scores(baseline))
    found = {name: compare(read_scores(path))._asdict() for name, path in there.items()}
    write_yaml(folder / DIFFERENCES, {"baseline": BASELINE, "models": found})


def read_differences(folder: Path) -> dict[str, Difference]:
    """Read what `write_differences` wrote; empty where it didn't."""
    if not (folder / DIFFERENCES).is_file():
        return {}
    return {name: Difference(**numbers) for name, numbers in read_yaml(folder / DIFFERENCES)["models"].items()}
