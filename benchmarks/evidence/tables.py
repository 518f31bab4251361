"""The tables of docs/evidence.md, made from benchmarks/evidence/results.

python -m benchmarks.evidence.tables            writes them into the page, between its marks
python -m benchmarks.evidence.tables --check    says whether they are there as they should be: exit status 1 if not

Where seeds are averaged, ± is the standard error of their mean: over searches and trainings, on the same rows.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evidence.collect import FOLDER
from benchmarks.evidence.weights import MODULES, agreement, kept, last_days, ordered, side_of
from distdnas_hpc.storage import write_text
from distdnas_hpc.train.candidates import TITLES

PAGE = Path("docs/evidence.md")

EXPRESS = {
    "products": ("dot_product",),
    "crosses": ("crossnet", "pin"),
    "attention": ("transformer", "pma"),
    "short": ("dot_product",),
}
"""Modules that were said to express a plant before any search of it; `short` is `products` in days of few rows."""

PLANTS = ("linear", "products", "crosses", "attention", "mixture")
THETA = 0.2
VARIED = {"gamma": "γ", "blocks": "N", "theta": "θ", "copies": "M"}
"""What ablations vary, and the paper's letter for it."""

Rows = list[dict[str, Any]]


def main() -> None:
    """Write the page's tables, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    filled = fill(page)
    if not options.check:
        write_text(PAGE, filled)
    elif filled != page:
        sys.exit(f"{PAGE} differs from its results; make its tables with: python -m benchmarks.evidence.tables")


def fill(page: str) -> str:
    """Return the page with each table, from a mark `<!-- NAME ARGUMENTS -->` to the next `<!-- end -->`, made anew."""

    def made(match: re.Match[str]) -> str:
        name, *arguments = match[1].split()
        return f"<!-- {match[1]} -->\n{TABLES[name](*arguments)}\n<!-- end -->"

    return re.sub(r"<!-- ([^>]+) -->\n.*?<!-- end -->", made, page, flags=re.DOTALL)


def recovery() -> str:
    """Table of what networks score on each plant, and how much of what is possible the found one reaches."""
    names = ("Logistic regression", "DLRM", "DCN-v2", "distdnas")
    rows = []
    for plant in PLANTS:
        if (study := _study(f"planted_{plant}")) is None:
            continue
        auc = {name: _by_seed(study["models"], name, "auc") for name in names}
        low, found = auc["Logistic regression"], auc["distdnas"]
        best, error = study["bayes"]["auc"], study["bayes"]["auc_standard_error"]
        closed = [(value - low[seed]) / (best - low[seed]) for seed, value in found.items()]
        is_gap = best - np.mean([*low.values()]) > 3 * error
        scores = (_mean_of(values.values()) for values in auc.values())
        rows.append((f"`{plant}`", *scores, f"{best:.4f}", _mean_of(closed, "{:.0%}") if is_gap else "no gap"))
    head = ("plant", "logistic regression", "DLRM", "DCN-v2", "found", "best possible", "gap closed")
    return _table(head, rows)


def macs() -> str:
    """Table of what the networks found on each plant cost beside others."""
    rows = []
    for plant in PLANTS:
        if (study := _study(f"planted_{plant}")) is None:
            continue
        found, *others = (_by_seed(study["models"], name, "macs").values() for name in ("distdnas", "DLRM", "DCN-v2"))
        whole = study["macs"]["base"] + np.sum(study["macs"]["modules"])
        cells = [_mean_of([value / 1e6 for value in values], "{:.4f}", " M") for values in (found, *others)]
        rows.append((f"`{plant}`", *cells, f"{whole / 1e6:.4f} M", f"{np.mean([*found]) / whole:.0%}"))
    return _table(("plant", "found", "DLRM", "DCN-v2", "supernet", "found, of the supernet"), rows)


def preferred() -> str:
    """Table of the mean weights of the modules that can express a plant, and how often they are kept."""
    rows = []
    for plant, wanted in EXPRESS.items():
        if (study := _study(f"planted_{plant}")) is None:
            continue
        means = last_days(_searches(study, "distdnas"))
        keeps = np.array([kept(mean, THETA) for mean in means])
        others = side_of(wanted) & ~np.isin(MODULES, wanted)
        pairs = _mean_of([ordered(mean, wanted) for mean in means], "{:.2f}")
        for name in wanted:
            place = MODULES.index(name)
            weights = ", ".join(_mean_of(of_block, "{:.3f}") for of_block in np.array(means)[..., place].T)
            how_often = (f"{keeps[..., place].mean():.0%}", f"{keeps[..., others].mean():.0%}")
            rows.append((f"`{plant}`", f"`{name}`", weights, *how_often, pairs))
    return _table(("plant", "module", "weight, block by block", "kept", "others kept", "pairs in order"), rows)


def weights() -> str:
    """Table of all modules' mean weights on each plant, over blocks, seeds and days; those that express it are bold."""
    rows = []
    for plant in PLANTS:
        if (study := _study(f"planted_{plant}")) is None:
            continue
        means = np.array(last_days(_searches(study, "distdnas"))).mean(axis=1)  # (seeds, 10)
        error = f"{means.std(axis=0, ddof=1).max() / np.sqrt(len(means)):.3f}" if len(means) > 1 else "–"
        wanted = EXPRESS.get(plant, ())
        cells = [
            f"**{weight:.3f}**" if name in wanted else f"{weight:.3f}"
            for name, weight in zip(MODULES, means.mean(axis=0), strict=True)
        ]
        rows.append((f"`{plant}`", *cells, error))
    return _table(("plant", *MODULES, "largest ±"), rows)


def days() -> str:
    """Table of how the number of days that are averaged changes the ranking and the kept set."""
    counts = (1, 2, 3)
    rows = []
    for plant in PLANTS:
        if (study := _study(f"planted_{plant}")) is None:
            continue
        searches, wanted = _searches(study, "distdnas"), EXPRESS.get(plant)
        cells = []
        for n in counts:
            means = last_days(searches, n)
            same = f"{agreement(means, THETA):.0%}" if len(means) > 1 else "–"
            cells.append(f"{_mean_of([ordered(mean, wanted) for mean in means], '{:.2f}')}, {same}" if wanted else same)
        rows.append((f"`{plant}`", *cells))
    return _table(("plant", *(f"{n} day{'s' * (n > 1)}" for n in counts)), rows)


def thetas(name: str, *values: str) -> str:
    """Table of what each θ keeps, without any training."""
    study = _study(name) or {}
    means = last_days(_searches(study, "distdnas"))
    cost = np.array(study["macs"]["modules"])
    rows = []
    for theta in map(float, values):
        keeps = np.array([kept(mean, theta) for mean in means])
        macs = study["macs"]["base"] + (keeps * cost).sum(axis=(1, 2))
        rows.append((f"{theta:g}", _mean_of(keeps.sum(axis=(1, 2)), "{:.1f}"), _mean_of(macs / 1e6, "{:.4f}", " M")))
    return _table(("θ", f"modules kept of {cost.size}", "MACs"), rows)


def learned(*names: str) -> str:
    """Table of how far supernets learn while they are searched: their NE in each quarter of a search's steps."""
    rows = []
    for name in names:
        study = _study(name) or {"models": [], "searches": []}
        dlrm = _mean_of(_by_seed(study["models"], "DLRM", "ne").values())
        plant = name.removeprefix("planted_").removeprefix("study_")
        for strategy, what in (("distdnas", "a day"), ("one_shot", "all days")):
            searches = [search for search in _searches(study, strategy) if "ne" in search]
            if searches:
                quarters = np.array([np.mean(search["ne"], axis=0) for search in searches]).T  # (4, seeds)
                steps = sorted({steps for search in searches for steps in search["steps"]})
                told = f"{steps[0]:,}" + (f" to {steps[-1]:,}" if len(steps) > 1 else "")
                rows.append((f"`{plant}`", what, told, *map(_mean_of, quarters), dlrm))
    return _table(("days", "searched at once", "steps", "1st quarter", "2nd", "3rd", "4th", "DLRM, trained"), rows)


def ablation(name: str) -> str:
    """Table of what γ, N, θ and M change around a study's setting, from what `ablation` kept of it."""
    told = (_study(f"{name}_ablation") or {"models": []})["models"]
    lines = []
    for of, sign in VARIED.items():
        of_value: dict[float, Rows] = {}
        for row in told:
            if row["of"] == of:
                of_value.setdefault(row[of], []).append(row)
        for value, rows in sorted(of_value.items()):
            kept = f"{_mean_of([row['kept'] for row in rows], '{:.1f}')} of {len(MODULES) * rows[0]['blocks']}"
            macs = _mean_of([row["macs"] / 1e6 for row in rows], "{:.4f}", " M")
            scores = (_mean_of([row[metric] for row in rows]) for metric in ("ne", "auc"))
            lines.append((sign, f"{value:g}", str(len(rows)), kept, macs, *scores))
    return _table(("varied", "value", "seeds", "modules kept", "MACs", "NE", "AUC"), lines)


def models(*names: str) -> str:
    """Table of what each kind of network of some studies scores, mean over seeds, in the order of NE."""
    told: Rows = [row for name in names for row in (_study(name) or {"models": []})["models"]]
    groups: dict[tuple[Any, ...], Rows] = {}
    for row in told:
        groups.setdefault(tuple(row[key] for key in ("strategy", "gamma", "theta", "copies")), []).append(row)
    of_dlrm = [row["ne"] for row in told if row["strategy"] == "DLRM"]
    lines = []
    for key, rows in sorted(groups.items(), key=lambda group: np.mean([row["ne"] for row in group[1]])):
        ne = [row["ne"] for row in rows]
        relative = f"{np.mean(ne) / np.mean(of_dlrm) - 1:+.2%}" if of_dlrm else "–"
        macs = _macs(np.mean([row["macs"] for row in rows]))
        scores = (_mean_of([row[metric] for row in rows]) for metric in ("auc", "logloss"))
        lines.append((_title(*key), str(len(rows)), macs, *scores, _mean_of(ne), relative))
    return _table(("network", "seeds", "MACs", "AUC", "LogLoss", "NE", "NE against DLRM's"), lines)


TABLES: dict[str, Callable[..., str]] = {
    "recovery": recovery,
    "macs": macs,
    "preferred": preferred,
    "weights": weights,
    "days": days,
    "thetas": thetas,
    "learned": learned,
    "ablation": ablation,
    "models": models,
}


def _study(name: str) -> dict[str, Any] | None:
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def _searches(study: dict[str, Any], strategy: str) -> Rows:
    return [search for search in study["searches"] if search["strategy"] == strategy]


def _by_seed(models: Rows, strategy: str, metric: str) -> dict[int, float]:
    return {row["seed"]: row[metric] for row in models if row["strategy"] == strategy}


def _title(strategy: str, gamma: float | None, theta: float | None, copies: int | None) -> str:
    titles: dict[str, str] = dict(TITLES.items()) | {"chance": "Drawn at random, of equal MACs"}
    if strategy not in TITLES or strategy == "supernet":
        return titles.get(strategy, strategy)
    parts = [f"γ={gamma:g}"] * (gamma is not None) + [f"θ={theta:g}", f"M={copies}"]
    return f"{titles[strategy]} ({', '.join(parts)})"


def _mean_of(values: Iterable[float], form: str = "{:.4f}", unit: str = "") -> str:
    """Write a mean with its standard error."""
    given = np.array([*values], dtype=np.float64)
    if not len(given):
        return "–"
    if len(given) == 1:
        return form.format(given.mean()) + unit
    return f"{form.format(given.mean())} ± {form.format(given.std(ddof=1) / np.sqrt(len(given)))}{unit}"


def _macs(macs: float | np.floating[Any]) -> str:
    return f"{macs / 1e6:.3f} M"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
