"""Parts of an experiment: prepare, search, data, planted, cost, models."""

import json
from pathlib import Path
from typing import Annotated

import typer

from distdnas_hpc import pipeline, places
from distdnas_hpc.cli.app import (
    Cluster,
    ConfigFile,
    Detach,
    Run,
    Workers,
    app,
    ends_told,
    err,
    launched,
    out,
    with_options,
)
from distdnas_hpc.cluster.display import ForegroundProgress
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.config import load_config
from distdnas_hpc.data.inspect import describe, verify_days
from distdnas_hpc.data.planted_days import write_planted_days
from distdnas_hpc.launch import launch_day
from distdnas_hpc.models import costs
from distdnas_hpc.report.cost_table import cost_rows, cost_table, write_cost_figure
from distdnas_hpc.report.data_table import data_table
from distdnas_hpc.report.models_table import models_table
from distdnas_hpc.report.planted_table import planted_table
from distdnas_hpc.report.results import read_cost
from distdnas_hpc.report.weights_table import weights_table
from distdnas_hpc.storage import read_yaml


@app.command()
def prepare(
    config_file: ConfigFile,
    cluster: Cluster = None,
    workers: Workers = None,
    folder: Run = None,
    detach: Detach = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read every file again and compare its checksum.")] = False,
) -> None:
    """Turn an experiment's raw days into HDF5 shards, or go on doing so, and show what 'distdnas data' shows.

    'distdnas run' does this first, or starts from what is there.
    """
    config = with_options(load_config(config_file), cluster, workers, folder)
    run = launched(config, pipeline.preparation, detach, f"distdnas prepare {config_file}")
    if detach:
        return
    if verify:
        with ForegroundProgress(err, "verify") as progress:
            verify_days(places.prepared_folder(run), progress)
        err.print("Every file is what was written.", highlight=False)
    out.print(data_table(describe(places.prepared_folder(run))))


@app.command()
def search(
    config_file: ConfigFile,
    day: Annotated[int, typer.Option("--day", min=1, help="The day, one of search.days.")],
    folder: Run = None,
) -> None:
    """Search one day of an experiment in this process and watch its α and β, or go on doing so.

    It is the task that 'distdnas run' gives to a process or a job: with the same files, it stops and goes on like it.
    The data must be prepared and the cost importance taken. Where it runs is what the run folder's config says.
    """
    config = with_options(load_config(config_file), None, None, folder)
    with ends_told(f"distdnas search {config_file} --day {day}"):
        run = launch_day(config, day, err)
    path = run.task_folder("search", places.day_name(day)) / "architecture.yaml"
    found = read_yaml(path)
    out.print(weights_table(found["alpha"], found["beta"]))
    out.print(f"α and β of day {day} after {found['rows']:,} rows: {path}", soft_wrap=True, highlight=False)


@app.command()
def data(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run folder, or the folder of its prepared data.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what prepared data holds: days, rows, click rates, columns, table sizes, bytes."""
    content = describe(places.prepared_folder(RunFolder(folder)) if (folder / "config.yaml").is_file() else folder)
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    else:
        out.print(data_table(content))


@app.command()
def planted(
    config_file: ConfigFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list, an object a day.")] = False,
) -> None:
    """Write raw days whose click probabilities are known, to see what a search finds: 'planted' in the config.

    Tells what the best possible model would score on each day, which also stands in DAY.truth.yaml beside it. Days that
    are there are kept.
    """
    config = load_config(config_file)
    with ends_told(f"distdnas planted {config_file}"), ForegroundProgress(err, "planted") as progress:
        truths = write_planted_days(config, progress)
    if as_json:
        typer.echo(json.dumps(truths, indent=2))
        return
    out.print(planted_table(truths))
    out.print(f"Days and truths: {config.data.raw_file(1).parent}", soft_wrap=True, highlight=False)


@app.command()
def cost(
    config_file: ConfigFile,
    cluster: Cluster = None,
    folder: Run = None,
    detach: Detach = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Show what each module costs: the importance s that the search charges, in block 1 and in the later blocks.

    Computed once a run, or shown from there; it needs no data. Also draws it like the paper's Figure 5.
    """
    config = with_options(load_config(config_file), cluster, None, folder)
    run = launched(config, pipeline.cost_model, detach, f"distdnas cost {config_file}")
    if detach:
        return
    found = read_cost(places.cost_folder(run))
    drawn = write_cost_figure(found, places.cost_folder(run))
    if as_json:
        told = {"r2": found.r2, "samples": found.samples, "modules": cost_rows(found), "figure": str(drawn)}
        typer.echo(json.dumps(told, indent=2))
        return
    out.print(cost_table(found))
    out.print(f"Figure: {drawn}", soft_wrap=True, highlight=False)


@app.command()
def models(
    config_file: ConfigFile,
    folder: Run = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Show what every model costs to serve: MACs a row and parameters, beside the paper's Table I.

    The supernet, the discovered network of each θ and M once days are searched, and all published models, trained or
    not. Nothing is allocated or changed, so it needs neither data nor a GPU. docs/models.md says how they are built.
    """
    content = costs(with_options(load_config(config_file), None, None, folder))
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    else:
        out.print(models_table(content), highlight=False, soft_wrap=False)
