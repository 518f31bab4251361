"""Another mean of a run's searched days, another θ: from files alone, beside what the run itself aggregated."""

from collections.abc import Sequence
from typing import Any

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.macs import network_cost
from distdnas_hpc.nn.network import Network
from distdnas_hpc.pipeline import BY_DAY
from distdnas_hpc.places import WHOLE, day_name
from distdnas_hpc.search.aggregate import aggregate, discretize
from distdnas_hpc.storage import read_yaml, write_yaml
from distdnas_hpc.train.candidates import architecture_file


def reaggregate(
    run: RunFolder, theta: float, copies: int, days: Sequence[int] | None, *, by_rows: bool, name: str | None
) -> dict[str, Any]:
    """Average days of a run, keep what reaches θ, and write both to `RUN/aggregate/NAME`; nothing is overwritten.

    Parameters
    ----------
    days : to average, all searched; default: all that are searched.
    by_rows : weight each day by its rows; default: all alike.
    name : default: one that says θ, days and weights, e.g. t0.25_days_1-3_rows.

    Returns
    -------
    dict of plain values: name, folder, theta, copies, days, weights, macs and interaction_parameters of M copies side
    by side (a sample's multiply-accumulates), dense and sparse (the kept modules of each block).

    Raises
    ------
    UserError : a day isn't searched, or no day was by itself; something else has this name.
    """
    config = run.config
    if config.strategy not in BY_DAY:
        raise UserError(
            f"{run.path} searched no day by itself (strategy {config.strategy}), so there is nothing to average. "
            f"Another θ alone: python tools/export_architecture.py {run.path} --theta {theta:g}"
        )
    searched = [day for day in config.search.days if run.is_done("search", day_name(day))]
    chosen = sorted(days or searched)
    missing = [str(day) for day in chosen if day not in searched]
    if missing or not chosen:
        raise UserError(
            f"Of the days to average, {', '.join(missing) or 'all'} are not searched in {run.path}; "
            f"searched are: {', '.join(map(str, searched)) or 'none'}. Name some of these with --days."
        )
    name = name or f"t{theta:g}_days_{_few(chosen)}_{'rows' if by_rows else 'equal'}"
    if name == WHOLE or "/" in name or name.startswith("."):
        raise UserError(f"The name '{name}' is not free for an aggregate; give another with --name.")
    files = {day: run.task_folder("search", day_name(day)) / "architecture.yaml" for day in chosen}
    mean = aggregate(files, len(files), by_rows=by_rows)
    architecture = discretize(mean.alpha, mean.beta, theta)

    folder = run.task_folder("aggregate", name)
    told = {"weights": "rows" if by_rows else "equal", **mean.to_dict()}
    if (folder / "aggregate.yaml").is_file() and read_yaml(folder / "aggregate.yaml") != told:
        raise UserError(f"{folder} holds another aggregate; nothing was changed. Give another name with --name.")
    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(folder / architecture_file(theta), {"theta": theta, **architecture.to_dict()})
    write_yaml(folder / "aggregate.yaml", told)

    dense, sparse = config.data.schema_.dense, config.data.schema_.sparse
    cost = network_cost(
        lambda: Network(architecture, config.model, dense, sparse, copies=copies), dense, sparse, config.model.dim_s
    )
    return {
        "name": name,
        "folder": str(folder),
        "theta": theta,
        "copies": copies,
        "days": list(mean.days),
        "weights": told["weights"],
        "macs": cost.macs,
        "interaction_parameters": cost.parameters,
        **architecture.to_dict(),
    }


def _few(days: Sequence[int]) -> str:
    """Write days as a config does: 1-4,6."""
    parts: list[list[int]] = []
    for day in days:
        if parts and day == parts[-1][-1] + 1:
            parts[-1].append(day)
        else:
            parts.append([day])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts)
