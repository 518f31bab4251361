"""What jobs and scripts call, hidden from users: task, stages, init."""

from pathlib import Path
from typing import Annotated

import typer

from distdnas_hpc import study
from distdnas_hpc.cli.app import ConfigFile, app
from distdnas_hpc.cluster.execute import TaskError
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.config import load_config
from distdnas_hpc.launch_scripts import lines_for_launch_script, run_stages_in_job


@app.command(hidden=True)
def task(folder: Path, stage: str, name: str, attempt: Annotated[int | None, typer.Option(min=1)] = None) -> None:
    """Run one task in this process; what the local executor and slurm/search_array.sbatch start."""
    try:
        number = attempt or RunFolder(folder).new_attempt(stage, name)
        study.run_task(str(folder), stage, name, number)
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
