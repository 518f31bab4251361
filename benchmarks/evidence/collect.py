"""Keep what a study found in a small file, from which the tables of docs/evidence.md are made.

python -m benchmarks.evidence.collect configs/planted_products.yaml ...     after 'distdnas study' of each
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from distdnas_hpc.config import Config, load_config
from distdnas_hpc.data.planted_days import truth_file
from distdnas_hpc.places import WHOLE, day_name
from distdnas_hpc.report.parts import TrainedModel
from distdnas_hpc.report.results import Results, read_results
from distdnas_hpc.storage import read_yaml, write_text
from distdnas_hpc.study import Variant, variants
from distdnas_hpc.train.candidates import DISTDNAS

FOLDER = Path("benchmarks/evidence/results")
"""A JSON file for each study, named as its config; from the checkout's root, where these programs run."""


def main() -> None:
    """Write the file of each config named on the command line."""
    for name in sys.argv[1:]:
        keep(Path(name).stem, findings(load_config(Path(name))))


def findings(config: Config) -> dict[str, Any]:
    """Return what a study's runs found, as plain values.

    Returns
    -------
    dict with test (rows and clicks of the test day), bayes (the best that is possible there, None where the days are
    not planted), macs (base and modules (N, 10), of which a network's MACs are the sum), models (each network trained:
    model or strategy, γ, seed, θ, M, MACs, AUC, LogLoss, NE) and searches (each strategy's: γ, seed and the α and β of
    its days, side by side, (days, N, 10), the steps of each, and the supernet's NE in each quarter of its steps,
    (days, 4), where searches tell it; a search over all days counts as one day).
    """
    models, searches, test = [], [], {}
    for variant in variants(config):
        results = read_results(variant.config.run)
        models += networks(variant, results)
        if results.searches:
            searches.append(_about(variant) | _search(results))
        test = {"rows": results.models[0].test_rows, "clicks": results.models[0].clicks}
    cost = read_yaml((config.prepared or config.run) / "cost/all/result.yaml")
    truth = truth_file(config.data.raw_file(config.train.test_day))
    return {
        "test": test,
        "bayes": read_yaml(truth)["bayes"] if config.planted else None,
        "macs": {"base": cost["macs_base"], "modules": cost["macs_modules"]},
        "models": models,
        "searches": searches,
    }


def networks(variant: Variant, results: Results) -> list[dict[str, Any]]:
    """Return the networks that one of a study's runs trained, and their scores."""
    return [_about(variant) | _scores(trained) for trained in results.models]


def keep(name: str, found: dict[str, Any]) -> None:
    """Write findings, a line for each model and each search, so that changes show."""
    lists = {"models", "searches"}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items() if key not in lists]
    for key in sorted(lists & set(found)):
        rows = ",\n".join(json.dumps(row) for row in found[key])
        lines.append(f"{json.dumps(key)}: [\n{rows}\n]")
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_text(FOLDER / f"{name}.json", "{\n" + ",\n".join(lines) + "\n}\n")


def _about(variant: Variant) -> dict[str, Any]:
    return {"strategy": variant.strategy, "gamma": variant.gamma, "seed": variant.seed}


def _scores(trained: TrainedModel) -> dict[str, Any]:
    """Return a model's scores; a published one that a strategy's run trained beside is of no strategy."""
    found = trained.model == DISTDNAS
    told: dict[str, Any] = {} if found else {"strategy": trained.title, "gamma": None}
    told |= {"theta": trained.theta, "copies": trained.copies, "macs": trained.macs}
    return told | {metric: round(getattr(trained, metric), 6) for metric in ("auc", "logloss", "ne")}


def _search(results: Results) -> dict[str, Any]:
    """Return what the tasks of a search found, and how far their supernets learned."""
    weights = [np.concatenate([task.alpha[-1], task.beta[-1]], axis=1) for task in results.searches]
    names = [WHOLE] if results.whole else [day_name(day) for day in sorted(results.days)]
    told = [read_yaml(results.run / "search" / name / "result.yaml") for name in names]
    found = {"days": np.round(weights, 4).tolist(), "steps": [task["steps"] for task in told]}
    if all("ne" in task for task in told):
        found["ne"] = [[round(value, 4) for value in task["ne"]] for task in told]
    return found


if __name__ == "__main__":
    main()
