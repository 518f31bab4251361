"""What the commands share: the app, options and how they become a config, and how a command ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from distdnas_hpc import __version__
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage
from distdnas_hpc.config import Config
from distdnas_hpc.launch import UnfinishedError, launch

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
out, err = Console(), Console(stderr=True)

KEPT = "What is done is kept."
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


@app.callback(invoke_without_command=True)
def distdnas(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    """Search efficient feature interactions for click-through rates, one day of click logs a task.

    Start with [bold]distdnas run configs/quickstart.yaml[/bold], then look at the report.html it names.
    """
    if version:
        typer.echo(f"distdnas {__version__}")
        raise typer.Exit


def with_options(config: Config, cluster: str | None, workers: int | None, folder: Path | None) -> Config:
    """Return a config with what the command's options say instead."""
    given: dict[str, Any] = {"executor": cluster, "workers": workers}
    options = {key: value for key, value in given.items() if value is not None}
    changed = {"cluster": config.cluster.model_copy(update=options)}
    return config.model_copy(update=changed | ({"run": folder.absolute()} if folder else {}))


def launched(config: Config, choose: Callable[[Config], list[Stage]], detach: bool, command: str) -> RunFolder:
    """Launch stages; tell how to go on when they were stopped or did not finish."""
    on_slurm = config.cluster.executor == "slurm"
    with ends_told(command, f"distdnas status {config.run}" if on_slurm else None):
        return launch(config, choose, err, detach=detach)


@contextmanager
def ends_told(command: str, watch: str | None = None) -> Iterator[None]:
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
            tell_error(f"{told.stage}/{told.task} {told.state}: {told.reason}")
            if told.log and not told.input_fault:
                err.print(f"       its log: {told.log}", markup=False, highlight=False, soft_wrap=True)
        err.print(f"The run is not finished. {KEPT} Go on with: {command}", highlight=False)
        faulty_input = bool(error.wrong) and all(told.input_fault for told in error.wrong)
        raise typer.Exit(2 if faulty_input else 1) from None


def tell_error(sentence: str) -> None:
    """Print an error on standard error."""
    err.print(f"Error: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
