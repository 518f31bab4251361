"""Jobs on a cluster: launch, resubmit, cancel, status, doctor, logs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from distdnas_hpc import pipeline
from distdnas_hpc.cli.app import (
    KEPT,
    Cluster,
    ConfigFile,
    Run,
    RunArgument,
    app,
    err,
    launched,
    out,
    with_options,
)
from distdnas_hpc.cluster import slurm
from distdnas_hpc.cluster.display import ForegroundProgress, draw, watch_run
from distdnas_hpc.cluster.logs import find_task, follow, log_files
from distdnas_hpc.cluster.queue import queue
from distdnas_hpc.cluster.run_folder import STUDY, RunFolder
from distdnas_hpc.cluster.status import WENT_WRONG, run_status
from distdnas_hpc.config import load_config
from distdnas_hpc.doctor import examine
from distdnas_hpc.errors import UserError
from distdnas_hpc.launch import mend, scripts
from distdnas_hpc.places import day_name
from distdnas_hpc.report.forming import forming
from distdnas_hpc.study import stages_of

WATCH_INTERVAL = 5.0
"""Seconds between looks at a run; each asks squeue, whose controller serves the whole cluster."""


@app.command("launch")
def launch_(
    config_file: ConfigFile,
    folder: Run = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="A cluster: clusters/NAME.yaml beside CONFIG says what it asks for.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and every sbatch script; submit and write nothing.")
    ] = False,
) -> None:
    """Submit an experiment to Slurm, from raw days to the report, and leave: you can log out.

    Jobs run the code as it is now and the config as it is now, whatever you change later. Look with
    [bold]distdnas status RUN[/bold]; what went wrong is mended by [bold]distdnas resubmit RUN[/bold].
    """
    config = with_options(load_config(config_file, profile), "slurm", None, folder)
    if dry_run:
        planned = scripts(config)
        for stage, tasks, script in planned:
            many = f"{len(tasks)} tasks, {tasks[0]} to {tasks[-1]}" if len(tasks) > 1 else f"1 task, {tasks[0]}"
            typer.echo(f"### {stage}: {many}\n{script}")
        count = sum(len(tasks) for _, tasks, _ in planned)
        err.print(f"{count} tasks in {len(planned)} jobs; nothing was submitted.", highlight=False)
        return
    launched(config, pipeline.stages, True, f"distdnas launch {config_file}")


@app.command("resubmit")
def resubmit_(
    folder: RunArgument,
    days: Annotated[
        list[int] | None, typer.Option("--day", min=1, help="Only this day again; may be given several times.")
    ] = None,
    mem_gb: Annotated[
        float | None, typer.Option("--mem-gb", min=0.001, help="Memory of the tasks that went wrong, in GB.")
    ] = None,
    minutes: Annotated[
        int | None, typer.Option("--time", min=1, help="Time limit of the tasks that went wrong, in minutes.")
    ] = None,
    min_days: Annotated[
        int | None, typer.Option("--min-days", min=1, help="Finish with so many searched days, without the rest.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Submit again the failed and lost tasks of a run on Slurm, from their checkpoints, and what waits for them.

    Tasks that are done, running or queued are left alone, so that doing it twice changes nothing. What ran out of
    memory or time asks for twice as much, up to cluster.slurm.max_mem_gb and max_time_minutes. A day that is done later
    than the results is taken into them, which are made again; the old ones are kept in RUN/superseded.
    """
    run = RunFolder(folder)
    did = mend(run, days or (), min_days, mem_gb, minutes)
    if as_json:
        named = {task: asdict(request) for task, request in did.again.items()}
        told = {
            "again": [{"task": "/".join(task), **asked} for task, asked in named.items()],
            "replaced": did.replaced,
            **{
                key: ["/".join(task) for task in getattr(did, key)]
                for key in ("others", "renewed", "at_work", "left_out")
            },
        }
        typer.echo(json.dumps(told, indent=2))
        return
    for line in did.sentences():
        out.print(line, highlight=False, soft_wrap=True)
    out.print(f"Look with: distdnas status {run.path}", highlight=False, soft_wrap=True)


@app.command()
def cancel(folder: RunArgument) -> None:
    """Cancel a run's jobs on Slurm, and no others. What is done is kept; checkpoints are written."""
    run = RunFolder(folder)
    count = slurm.cancel(run)
    goes_on = f" {KEPT} Go on with: distdnas resubmit {run.path}" if count else ""
    out.print(f"Cancelled {count} jobs of {run.path}.{goes_on}", highlight=False, soft_wrap=True)


@app.command()
def status(
    folder: RunArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again until all tasks have ended.")] = False,
    every: Annotated[bool, typer.Option("--all", help="A line for every task, also of stages that are done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each task, in a list.")] = False,
) -> None:
    """Show every task of a run: its state, speed, loss and time left, and why it went wrong if it did.

    On a wide terminal also attempt, node, most memory and time so far. Slurm is asked once, for all jobs; where it
    does not answer, the run's files tell what they know. Exit status 1 when a task went wrong.
    """
    run = RunFolder(folder)
    stages = stages_of(run)
    if watch:
        with _left_with_ctrl_c():
            search = run.config.search
            statuses = watch_run(
                run,
                stages,
                err if as_json else out,
                lambda: queue(run),
                WATCH_INTERVAL,
                every=every,
                below=lambda: forming(run.path, search.days, search.theta[0]),
            )
    else:
        statuses = run_status(run, stages, queue(run))
    if as_json:
        typer.echo(json.dumps([asdict(told) for told in statuses], indent=2))
    else:
        if not (watch and out.is_terminal):
            out.print(draw(statuses, every=every), soft_wrap=True)
        done = sum(told.state == "done" for told in statuses)
        pages = [page for page in (run.path / "report.html", run.path / STUDY / "report.html") if page.is_file()]
        report = f"; report: {', '.join(map(str, pages))}" if pages else ""
        out.print(f"{done} of {len(statuses)} tasks done{report}", highlight=False, soft_wrap=True)
    if any(told.state in WENT_WRONG for told in statuses):
        raise typer.Exit(1)


@app.command()
def doctor(
    config_file: ConfigFile,
    cluster: Cluster = None,
    folder: Run = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also run a job on Slurm that tells what a node sees.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each check, in a list.")] = False,
) -> None:
    """Look an experiment over before it costs anything: data, disk, memory, time, torch, and what Slurm says.

    Each check is a line: ok, warning or problem, with its remedy. Nothing is changed. Exit status 1 when there is a
    problem.
    """
    config = with_options(load_config(config_file), cluster, None, folder)
    checks = []
    with ForegroundProgress(err, "verify") as progress:
        for check in examine(config, progress, probing=probe):
            checks.append(check)
            if not as_json:
                style = {"ok": "green", "warning": "yellow", "problem": "red"}[check.verdict]
                line = f"[{style}]{check.verdict:8}[/{style}] {check.name}: {escape(check.told)}"
                out.print(line, highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps([check._asdict() for check in checks], indent=2))
    if any(check.verdict == "problem" for check in checks):
        raise typer.Exit(1)


@app.command()
def logs(
    folder: RunArgument,
    day: Annotated[
        int | None, typer.Option("--day", min=1, help="A day's task, of search if no stage is given.")
    ] = None,
    stage: Annotated[str | None, typer.Option("--stage", help="The stage, e.g. parse, search, train.")] = None,
    task: Annotated[str | None, typer.Option("--task", help="The task in the stage, e.g. dlrm.")] = None,
    attempt: Annotated[int | None, typer.Option("--attempt", min=1, help="Default: the newest.")] = None,
    follows: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as the log grows, until the task ends.")
    ] = False,
) -> None:
    """Print the log of a task, and what its process or job printed beside it.

    For example [bold]distdnas logs runs/quickstart --day 1[/bold] or [bold]--stage train --task dlrm --follow[/bold].
    """
    if day is not None and task is not None:
        raise UserError("Give --day or --task, not both.")
    if follows and attempt is not None:
        raise UserError("--follow shows the newest attempt; leave out --attempt.")
    run = RunFolder(folder)
    named = day_name(day) if day is not None else task
    chosen, name = find_task(stages_of(run), stage, named)
    if follows:
        with _left_with_ctrl_c():
            for text in follow(run, chosen, name, lambda: queue(run), WATCH_INTERVAL):
                typer.echo(text, nl=False)
        return
    number = attempt or run.last_attempt(chosen.name, name)
    files = log_files(run, chosen.name, name, number) if number else []
    if not files:
        attempts = run.last_attempt(chosen.name, name)
        said = f"attempt {number} of {attempts} left no log" if attempts else "it was not begun yet"
        raise UserError(
            f"There is no log of {chosen.name}/{name} in {run.path}: {said}. See 'distdnas status {folder}'."
        )
    for path in files:
        err.print(f"── {path}", style="dim", markup=False, highlight=False, soft_wrap=True)
        typer.echo(path.read_text(encoding="utf-8", errors="replace"), nl=False)


@contextmanager
def _left_with_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end a command that only looks."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("\nStopped looking; the run goes on.", highlight=False)
        raise typer.Exit from None
