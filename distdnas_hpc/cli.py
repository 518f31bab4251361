"""The `distdnas` command: thin, one function a command."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from distdnas_hpc import __version__, pipeline
from distdnas_hpc.cluster import local, slurm
from distdnas_hpc.cluster.display import draw, progress_shown
from distdnas_hpc.cluster.execute import TaskError
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.status import WENT_WRONG, TaskStatus, run_status
from distdnas_hpc.config import Config, load_config
from distdnas_hpc.data.prepare import check_raw
from distdnas_hpc.errors import UserError
from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.table import caveat, comparison, comparison_table

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
out, err = Console(), Console(stderr=True)

SLURM_INTERVAL = 5.0
"""Seconds between looks at a run on Slurm; each asks squeue, whose controller serves the whole cluster."""


def main() -> None:
    """Run the command; it ends with 0 (fine), 1 (work failed or was stopped) or 2 (wrong use)."""
    try:
        app()
    except UserError as error:
        err.print(f"Error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)


@app.callback(invoke_without_command=True)
def distdnas(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    """Search efficient feature interactions for click-through rates, one day of click logs a task.

    Start with [bold]distdnas run configs/quickstart.yaml[/bold], then look at the report.html it names.
    """
    if version:
        typer.echo(f"distdnas {__version__}")
        raise typer.Exit


@app.command()
def run(
    config_file: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="The experiment, e.g. configs/quickstart.yaml.")
    ],
    cluster: Annotated[
        Literal["inline", "local", "slurm"] | None,
        typer.Option(
            help="Where tasks run: one after the other in this process, side by side in processes on this machine, "
            "or as Slurm jobs. Default: what the config says."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="With --cluster local: how many tasks at a time.")] = None,
    folder: Annotated[Path | None, typer.Option("--run", help="The run folder, instead of the config's.")] = None,
    detach: Annotated[
        bool,
        typer.Option("--detach", help="With --cluster slurm: submit and leave; look later with 'distdnas status'."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON instead of a table.")] = False,
) -> None:
    """Run an experiment from raw days to the report, or continue one: only what is missing is done.

    Progress goes to the terminal, everything else into the run folder. Stop it with Ctrl-C whenever you like; the same
    command goes on from there.
    """
    config = _with_options(load_config(config_file), cluster, workers, folder)
    on_slurm = config.cluster.executor == "slurm"
    if detach and not on_slurm:
        raise UserError(
            "--detach works with --cluster slurm only; on this machine, start the command in tmux or nohup."
        )
    check_raw(config.data)
    run = RunFolder.prepare(config)
    stages = pipeline.stages(config)
    _refuse_if_running(run, run_status(run, stages, slurm.alive_jobs(run)))
    go_on = f"What is done is kept. Go on with: distdnas run {config_file}"
    if on_slurm:
        jobs = slurm.submit(run, stages, pipeline.run_task)  # stopped here, it cancels what it has submitted
        err.print(f"Submitted {jobs} tasks to Slurm. Look with: distdnas status {run.path}", highlight=False)
        if detach:
            return
        go_on = f"Its jobs go on in Slurm. Watch them with: distdnas status {run.path}"
    try:
        if on_slurm:
            with progress_shown(run, stages, err, lambda: slurm.alive_jobs(run), SLURM_INTERVAL):
                slurm.wait(run)
        else:
            with progress_shown(run, stages, err, lambda: None, interval=0.5):
                if config.cluster.executor == "local":
                    local.run_local(run, stages, config.cluster.workers, config.cluster.threads)
                else:
                    local.run_inline(run, stages)
    except KeyboardInterrupt:
        err.print(f"\nStopped. {go_on}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    _stop_if_unfinished(run, run_status(run, stages, slurm.alive_jobs(run)))
    _show_results(run, as_json)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, e.g. runs/quickstart.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each task, in a list.")] = False,
) -> None:
    """Show every task of a run: its state, speed, loss and time left, and why it went wrong if it did.

    Exit status 1 when a task failed, was interrupted or got lost.
    """
    run = RunFolder(folder)
    statuses = run_status(run, pipeline.stages(run.config), slurm.alive_jobs(run))
    if as_json:
        typer.echo(json.dumps([asdict(told) for told in statuses], indent=2))
    else:
        out.print(draw(statuses), soft_wrap=True)
        done = sum(told.state == "done" for told in statuses)
        report = f"; report: {run.path / 'report.html'}" if (run.path / "report.html").is_file() else ""
        out.print(f"{done} of {len(statuses)} tasks done{report}", highlight=False, soft_wrap=True)
    if any(told.state in WENT_WRONG for told in statuses):
        raise typer.Exit(1)


@app.command(hidden=True)
def task(folder: Path, stage: str, name: str, attempt: Annotated[int, typer.Option(min=1)]) -> None:
    """Run one task in this process; what the local executor starts."""
    try:
        pipeline.run_task(str(folder), stage, name, attempt)
    except (TaskError, KeyboardInterrupt):  # how it ended stands in the attempt's folder
        raise typer.Exit(1) from None


def _with_options(config: Config, cluster: str | None, workers: int | None, folder: Path | None) -> Config:
    given: dict[str, Any] = {"executor": cluster, "workers": workers}
    options = {key: value for key, value in given.items() if value is not None}
    changed = {"cluster": config.cluster.model_copy(update=options)}
    return config.model_copy(update=changed | ({"run": folder.absolute()} if folder else {}))


def _refuse_if_running(run: RunFolder, statuses: list[TaskStatus]) -> None:
    busy = [told for told in statuses if told.state == "running" or (told.state == "pending" and told.attempt)]
    if busy:
        names = ", ".join(f"{told.stage}/{told.task}" for told in busy[:3]) + (", …" if len(busy) > 3 else "")
        raise UserError(
            f"{len(busy)} tasks of {run.path} are running or queued already ({names}); wait for them "
            f"(distdnas status {run.path}) or stop them first."
        )


def _stop_if_unfinished(run: RunFolder, statuses: list[TaskStatus]) -> None:
    """Say why there are no results, if there are none."""
    if (run.path / "report.html").is_file() and all(
        told.state == "done" for told in statuses if told.stage == "report"
    ):
        return
    wrong = [told for told in statuses if told.state in WENT_WRONG]
    for told in wrong:
        err.print(
            f"Error: {told.stage}/{told.task} {told.state}: {told.reason}", style="red", markup=False, soft_wrap=True
        )
        if told.log and not told.input_fault:
            err.print(f"       its log: {told.log}", markup=False, highlight=False, soft_wrap=True)
    err.print("The run is not finished. What is done is kept: run the same command again to go on.", highlight=False)
    raise typer.Exit(2 if wrong and all(told.input_fault for told in wrong) else 1)


def _show_results(run: RunFolder, as_json: bool) -> None:
    results = read_results(run.path)
    if as_json:
        typer.echo(json.dumps(comparison(results), indent=2))
        return
    out.print(comparison_table(results))
    out.print(caveat(results), soft_wrap=True, highlight=False)
    out.print(f"Report: {run.path / 'report.html'}", soft_wrap=True, highlight=False)
