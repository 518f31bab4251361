"""The `distdnas` command: thin, one function a command."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape

from distdnas_hpc import __version__, pipeline
from distdnas_hpc.cluster import slurm
from distdnas_hpc.cluster.display import ForegroundProgress, draw, watch_run
from distdnas_hpc.cluster.execute import TaskError
from distdnas_hpc.cluster.logs import find_task, follow, log_files
from distdnas_hpc.cluster.queue import queue
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.cluster.status import WENT_WRONG, run_status
from distdnas_hpc.config import Config, Days, load_config
from distdnas_hpc.config.train import BASELINES
from distdnas_hpc.data.inspect import describe, verify_days
from distdnas_hpc.data.planted_days import write_planted_days
from distdnas_hpc.doctor import examine
from distdnas_hpc.errors import UserError
from distdnas_hpc.launch import UnfinishedError, launch, launch_day, mend, scripts
from distdnas_hpc.launch_scripts import lines_for_launch_script, run_stages_in_job
from distdnas_hpc.report.cost_table import cost_rows, cost_table, write_cost_figure
from distdnas_hpc.report.data_table import data_table
from distdnas_hpc.report.forming import forming
from distdnas_hpc.report.models_table import models_table
from distdnas_hpc.report.planted_table import planted_table
from distdnas_hpc.report.results import read_cost, read_results
from distdnas_hpc.report.study_table import study_table
from distdnas_hpc.report.table import caveat, comparison, comparison_table
from distdnas_hpc.report.weights_table import weights_table
from distdnas_hpc.storage import read_yaml
from distdnas_hpc.study import run_study, study_rows

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
out, err = Console(), Console(stderr=True)

KEPT = "What is done is kept."
WATCH_INTERVAL = 5.0
"""Seconds between looks at a run; each asks squeue, whose controller serves the whole cluster."""

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The experiment, e.g. configs/quickstart.yaml.")]
Cluster = Annotated[
    Literal["inline", "local", "slurm"] | None,
    typer.Option(
        help="Where tasks run: one after the other in this process, side by side in processes on this machine, "
        "or as Slurm jobs. Default: what the config says."
    ),
]
Workers = Annotated[int | None, typer.Option(min=1, help="With --cluster local: how many tasks at a time.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, e.g. runs/quickstart.")]
Run = Annotated[Path | None, typer.Option("--run", help="The run folder, instead of the config's.")]
Detach = Annotated[
    bool, typer.Option("--detach", help="With --cluster slurm: submit and leave; look later with 'distdnas status'.")
]


def main() -> None:
    """Run the command; it ends with 0 (fine), 1 (work failed or was stopped) or 2 (wrong use)."""
    try:
        app()
    except UserError as error:
        _tell_error(str(error))
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
    config = _with_options(load_config(config_file), cluster, workers, folder)
    run = _launch(config, pipeline.stages, detach, f"distdnas run {config_file}")
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
    config = _with_options(load_config(config_file), cluster, workers, folder)
    train = config.train.model_copy(update={"baselines": tuple(dict.fromkeys(chosen))})
    config = config.model_copy(update={"train": train})
    command = f"distdnas compare {config_file}{f' --models {models}' if models else ''}"
    run = _launch(config, pipeline.stages, detach, command)
    if not detach:
        _show_comparison(run, as_json)


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
    config = _with_options(load_config(config_file, profile), "slurm", None, folder)
    if dry_run:
        planned = scripts(config)
        for stage, tasks, script in planned:
            many = f"{len(tasks)} tasks, {tasks[0]} to {tasks[-1]}" if len(tasks) > 1 else f"1 task, {tasks[0]}"
            typer.echo(f"### {stage}: {many}\n{script}")
        count = sum(len(tasks) for _, tasks, _ in planned)
        err.print(f"{count} tasks in {len(planned)} jobs; nothing was submitted.", highlight=False)
        return
    _launch(config, pipeline.stages, True, f"distdnas launch {config_file}")


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
    config = _with_options(load_config(config_file), cluster, workers, folder)
    command = f"distdnas study {config_file}"
    with _ends_told(command, f"distdnas status {config.run}" if config.cluster.executor == "slurm" else None):
        finished = run_study(config, err, detach=detach)
    rows = study_rows(config)
    if as_json:
        typer.echo(json.dumps([row._asdict() for row in rows], indent=2))
    else:
        out.print(study_table(rows))
    if not finished:
        err.print(f"Go on, or look again, with: {command}", highlight=False, soft_wrap=True)


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
    config = _with_options(load_config(config_file), cluster, workers, folder)
    run = _launch(config, pipeline.preparation, detach, f"distdnas prepare {config_file}")
    if detach:
        return
    if verify:
        with ForegroundProgress(err, "verify") as progress:
            verify_days(pipeline.prepared_folder(run), progress)
        err.print("Every file is what was written.", highlight=False)
    out.print(data_table(describe(pipeline.prepared_folder(run))))


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
    config = _with_options(load_config(config_file), None, None, folder)
    with _ends_told(f"distdnas search {config_file} --day {day}"):
        run = launch_day(config, day, err)
    path = run.task_folder("search", pipeline.day_name(day)) / "architecture.yaml"
    found = read_yaml(path)
    out.print(weights_table(found["alpha"], found["beta"]))
    out.print(f"α and β of day {day} after {found['rows']:,} rows: {path}", soft_wrap=True, highlight=False)


@app.command()
def data(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run folder, or the folder of its prepared data.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what prepared data holds: days, rows, click rates, columns, table sizes, bytes."""
    content = describe(folder / "prepared" if (folder / "config.yaml").is_file() else folder)
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
    with _ends_told(f"distdnas planted {config_file}"), ForegroundProgress(err, "planted") as progress:
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
    config = _with_options(load_config(config_file), cluster, None, folder)
    run = _launch(config, pipeline.cost_model, detach, f"distdnas cost {config_file}")
    if detach:
        return
    found = read_cost(pipeline.cost_folder(run))
    drawn = write_cost_figure(found, pipeline.cost_folder(run))
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
    content = pipeline.models(_with_options(load_config(config_file), None, None, folder))
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    else:
        out.print(models_table(content), highlight=False, soft_wrap=False)


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
    stages = pipeline.stages(run.config)
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
        report = f"; report: {run.path / 'report.html'}" if (run.path / "report.html").is_file() else ""
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
    config = _with_options(load_config(config_file), cluster, None, folder)
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
    named = pipeline.day_name(day) if day is not None else task
    chosen, name = find_task(pipeline.stages(run.config), stage, named)
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


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, e.g. runs/quickstart.")],
    out_folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="The model's new folder.")],
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A folder of RUN/train. Default: the discovered network.")
    ] = None,
) -> None:
    """Write a trained model as a folder that needs no run: weights, id maps, statistics, and a torch.export program.

    'distdnas predict' answers with it.
    """
    told = pipeline.export(RunFolder(folder), model, out_folder)
    out.print(f"{told}: {out_folder}. Use it with: distdnas predict {out_folder} FILE", soft_wrap=True, highlight=False)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A folder that 'distdnas export' wrote.")],
    raw: Annotated[Path, typer.Argument(metavar="FILE", help="Raw rows, as the model was trained on, maybe gzipped.")],
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A text file. Default: the standard output.")
    ] = None,
) -> None:
    """Give the click probability of each raw row, one a line, in the rows' order. The rows need no label."""
    from distdnas_hpc.serve.model_folder import load_model
    from distdnas_hpc.serve.predict import predict_file

    served = load_model(model)
    with ForegroundProgress(err, "predict") as progress:
        rows = predict_file(served, raw, out_file, progress)
    if out_file is not None:
        out.print(f"{rows:,} probabilities of {served.title}: {out_file}", soft_wrap=True, highlight=False)


@app.command(hidden=True)
def task(folder: Path, stage: str, name: str, attempt: Annotated[int | None, typer.Option(min=1)] = None) -> None:
    """Run one task in this process; what the local executor and slurm/search_array.sbatch start."""
    try:
        number = attempt or RunFolder(folder).new_attempt(stage, name)
        pipeline.run_task(str(folder), stage, name, number)
    except (TaskError, KeyboardInterrupt):  # how it ended stands in the attempt's folder
        raise typer.Exit(1) from None


@app.command(hidden=True)
def stages(folder: Path, names: list[str], workers: Annotated[int, typer.Option(min=1)] = 1) -> None:
    """Run what is missing of some stages in this job; what slurm/prepare.sbatch and finish.sbatch start."""
    if not run_stages_in_job(RunFolder(folder), names, workers):
        raise typer.Exit(1)


@app.command(hidden=True)
def init(config_file: ConfigFile) -> None:
    """Make a run folder, or look at one, for slurm/launch.sh: print what is to be submitted, a word a line."""
    for line in lines_for_launch_script(load_config(config_file)):
        typer.echo(line)


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


def _with_options(config: Config, cluster: str | None, workers: int | None, folder: Path | None) -> Config:
    given: dict[str, Any] = {"executor": cluster, "workers": workers}
    options = {key: value for key, value in given.items() if value is not None}
    changed = {"cluster": config.cluster.model_copy(update=options)}
    return config.model_copy(update=changed | ({"run": folder.absolute()} if folder else {}))


def _launch(config: Config, choose: Callable[[Config], list[Stage]], detach: bool, command: str) -> RunFolder:
    """Launch stages; tell how to go on when they were stopped or did not finish."""
    on_slurm = config.cluster.executor == "slurm"
    with _ends_told(command, f"distdnas status {config.run}" if on_slurm else None):
        return launch(config, choose, err, detach=detach)


@contextmanager
def _ends_told(command: str, watch: str | None = None) -> Iterator[None]:
    """Tell how to go on when the block was stopped or did not finish.

    Parameters
    ----------
    command : does what is missing.
    watch : command that shows what goes on without this process, if anything does.
    """
    try:
        yield
    except KeyboardInterrupt:
        where = f"Its jobs go on in Slurm. Watch them with: {watch}" if watch else f"{KEPT} Go on with: {command}"
        err.print(f"\nStopped. {where}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except UnfinishedError as error:
        for told in error.wrong:
            _tell_error(f"{told.stage}/{told.task} {told.state}: {told.reason}")
            if told.log and not told.input_fault:
                err.print(f"       its log: {told.log}", markup=False, highlight=False, soft_wrap=True)
        err.print(f"The run is not finished. {KEPT} Go on with: {command}", highlight=False)
        faulty_input = bool(error.wrong) and all(told.input_fault for told in error.wrong)
        raise typer.Exit(2 if faulty_input else 1) from None


@contextmanager
def _left_with_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end a command that only looks."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("\nStopped looking; the run goes on.", highlight=False)
        raise typer.Exit from None


def _tell_error(sentence: str) -> None:
    err.print(f"Error: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
