"""Whole experiments: run, compare, study, aggregate."""

import json
from typing import Annotated, Literal

import typer
from pydantic import TypeAdapter, ValidationError

from distdnas_hpc import pipeline
from distdnas_hpc.cli.app import (
    Cluster,
    ConfigFile,
    Detach,
    Run,
    RunArgument,
    Workers,
    app,
    ends_told,
    err,
    launched,
    out,
    with_options,
)
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.config import Days, load_config
from distdnas_hpc.config.train import BASELINES
from distdnas_hpc.errors import UserError
from distdnas_hpc.launch import launch_study
from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.strategies import strategy_rows
from distdnas_hpc.report.study_table import study_table
from distdnas_hpc.report.table import caveat, comparison, comparison_table
from distdnas_hpc.study import study_results


@app.command()
def run(
    config_file: ConfigFile,
    cluster: Cluster = None,
    workers: Workers = None,
    folder: Run = None,
    detach: Detach = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON instead of a table.")] = False,
) -> None:
    """Run an experiment from raw days to the report, or continue one: only what is missing is done.

    Progress goes to the terminal, everything else into the run folder. Stop it with Ctrl-C whenever you like; the same
    command goes on from there.
    """
    config = with_options(load_config(config_file), cluster, workers, folder)
    run = launched(config, pipeline.stages, detach, f"distdnas run {config_file}")
    if not detach:
        _show_comparison(run, as_json)


@app.command()
def compare(
    config_file: ConfigFile,
    models: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help=f"Of {', '.join(BASELINES)}. Default: all.")
    ] = None,
    cluster: Cluster = None,
    workers: Workers = None,
    folder: Run = None,
    detach: Detach = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON instead of a table.")] = False,
) -> None:
    """Train published models beside the discovered network, and compare all of them on the test day.

    It is 'distdnas run' with other baselines than the config's. In the same run folder, only what is missing is done:
    models that are trained stay, and 'distdnas run' shows those of the config again.
    """
    chosen = [name.strip() for name in models.split(",")] if models else list(BASELINES)
    for name in chosen:
        if name not in BASELINES:
            raise UserError(f"No model is called '{name}'; known: {', '.join(BASELINES)}.")
    config = with_options(load_config(config_file), cluster, workers, folder)
    train = config.train.model_copy(update={"baselines": tuple(dict.fromkeys(chosen))})
    config = config.model_copy(update={"train": train})
    command = f"distdnas compare {config_file}{f' --models {models}' if models else ''}"
    run = launched(config, pipeline.stages, detach, command)
    if not detach:
        _show_comparison(run, as_json)


@app.command()
def study(
    config_file: ConfigFile,
    cluster: Cluster = None,
    workers: Workers = None,
    folder: Run = None,
    detach: Detach = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each row, in a list.")] = False,
) -> None:
    """Compare strategies of search, as the config's 'study' says, or go on doing so: the paper's Table II.

    Data is prepared and cost importance taken once, then every strategy runs with each γ, seed, θ and M. For example
    [bold]distdnas study configs/study_quickstart.yaml[/bold]. What 'converged' means: docs/study.md.
    """
    config = with_options(load_config(config_file), cluster, workers, folder)
    command = f"distdnas study {config_file}"
    with ends_told(command, f"distdnas status {config.run}" if config.cluster.executor == "slurm" else None):
        run = launch_study(config, err, detach=detach)
    rows = strategy_rows(study_results(config), published=True)
    if as_json:
        typer.echo(json.dumps([row._asdict() for row in rows], indent=2))
    else:
        out.print(study_table(rows))
        out.print(f"Report: {run.path / 'study/report.html'}", soft_wrap=True, highlight=False)


@app.command()
def aggregate(
    folder: RunArgument,
    theta: Annotated[float, typer.Option("--theta", min=0.0, max=1.0, help="θ: keep what has at least this share.")],
    copies: Annotated[int, typer.Option("--copies", min=1, help="M, whose MACs are told.")] = 1,
    days: Annotated[str | None, typer.Option("--days", help="E.g. 1-4,6; default: all that are searched.")] = None,
    weights: Annotated[Literal["equal", "rows"], typer.Option("--weights", help="Of days in the mean.")] = "equal",
    name: Annotated[str | None, typer.Option("--name", help="Of the folder in RUN/aggregate.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Average a run's searched days anew and keep what reaches another θ: without a GPU, without searching again.

    The new aggregate lies beside the run's own in RUN/aggregate; nothing is overwritten.
    """
    from distdnas_hpc.reaggregate import reaggregate

    chosen = _read_days(days) if days else None
    told = reaggregate(RunFolder(folder), theta, copies, chosen, by_rows=weights == "rows", name=name)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    for block, (dense, sparse) in enumerate(zip(told["dense"], told["sparse"], strict=True), start=1):
        out.print(f"block {block}: {', '.join(dense)}; {', '.join(sparse)}", highlight=False, soft_wrap=True)
    size = f"{told['macs'] / 1e6:.3f} M MACs, {told['interaction_parameters']:,} interaction parameters"
    out.print(f"θ = {theta:g}, M = {copies}: {size}", highlight=False, soft_wrap=True)
    out.print(f"Written to {told['folder']}", highlight=False, soft_wrap=True)


def _read_days(text: str) -> tuple[int, ...]:
    """Read days from an option, as a config writes them; a UserError says what is wrong."""
    try:
        return TypeAdapter(Days).validate_python(text)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserError(f"--days: {said}.") from None


def _show_comparison(run: RunFolder, as_json: bool) -> None:
    results = read_results(run.path)
    if as_json:
        typer.echo(json.dumps(comparison(results), indent=2))
        return
    out.print(comparison_table(results))
    out.print(caveat(results), soft_wrap=True, highlight=False)
    for title, reason in results.diverged.items():
        out.print(f"{title} diverged: {reason}", soft_wrap=True, highlight=False, markup=False)
    if (run.path / "report.html").is_file():
        out.print(f"Report: {run.path / 'report.html'}", soft_wrap=True, highlight=False)
