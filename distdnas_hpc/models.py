"""A run's models: what each costs to serve, and one of them as a folder that needs no run."""

from pathlib import Path
from typing import Any

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.config import Config
from distdnas_hpc.config.train import BASELINES
from distdnas_hpc.errors import UserError
from distdnas_hpc.places import WHOLE, architecture_of, prepared_folder
from distdnas_hpc.storage import read_yaml
from distdnas_hpc.train.candidates import DISTDNAS, Candidate, architecture_file, candidates


def export(run: RunFolder, name: str | None, out: Path) -> str:
    """Write a trained model's folder (`serve.model_folder`), and return the model's title.

    Parameters
    ----------
    name : of its train task; None for the discovered network, with the first θ and M that is trained.

    Raises
    ------
    UserError : no such model is trained, or `out` exists.
    """
    from distdnas_hpc.data.manifest import Manifest
    from distdnas_hpc.serve.model_folder import export_model
    from distdnas_hpc.train.models import title

    config = run.config
    known = [*candidates(config), *(Candidate(baseline, baseline) for baseline in BASELINES)]
    trained = [each for each in known if (run.task_folder("train", each.task) / "model.pt").is_file()]
    chosen = next((each for each in trained if each.task == name or (name is None and each.model == DISTDNAS)), None)
    if chosen is None:
        names = ", ".join(dict.fromkeys(each.task for each in trained)) or "none"
        raise UserError(f"The run {run.path} has no trained model {name or DISTDNAS}; trained: {names}.")
    manifest = Manifest.load(prepared_folder(run), config.data)
    export_model(config, chosen, architecture_of(run, chosen), manifest, run.task_folder("train", chosen.task), out)
    return title(chosen, config.strategy)


def costs(config: Config) -> dict[str, Any]:
    """Tell what every model costs, from what the run folder has by now, if there is one; no table is allocated.

    Returns
    -------
    dict with models (those of `train.model_costs` and parameters, tables included; None where nothing says how many
    rows they have), table_rows, and notes, sentences for people.
    """
    from dataclasses import asdict

    from distdnas_hpc.nn.architecture import Architecture
    from distdnas_hpc.train.model_costs import is_the_papers, model_costs

    files = {theta: config.run / "aggregate" / WHOLE / architecture_file(theta) for theta in config.search.theta}
    found = {theta: Architecture.from_dict(read_yaml(path)) for theta, path in files.items() if path.is_file()}
    rows, tables = _table_rows(config)
    per_row = config.model.dim_s
    costs = [
        {**asdict(cost), "parameters": None if rows is None else cost.interaction_parameters + rows * per_row}
        for cost in model_costs(config, found)
    ]
    notes = [tables]
    if len(found) < len(files):
        notes.append("The discovered network is missing: search and aggregate the days first.")
    if not is_the_papers(config):
        notes.append("Dimensions or columns are not the paper's, so Table I's numbers are not beside them.")
    return {"models": costs, "table_rows": rows, "notes": notes}


def _table_rows(config: Config) -> tuple[int | None, str]:
    """Return the rows of all embedding tables, and a sentence that says where they come from."""
    from distdnas_hpc.data.criteo_terabyte import CARDINALITIES
    from distdnas_hpc.data.manifest import MANIFEST, Manifest

    prepared = config.run / "prepared"
    if (prepared / MANIFEST).is_file():
        rows = sum(Manifest.load(prepared, config.data).table_sizes)
        return rows, f"Params include {rows:,} embedding rows of {prepared}."
    if config.data.schema_.sparse == len(CARDINALITIES):
        rows = sum(min(values + 1, config.data.max_rows) for values in CARDINALITIES)
        return rows, f"Params include {rows:,} embedding rows: Criteo Terabyte's, as nothing is prepared yet."
    return None, "Params need the data: prepare it first."
