"""What is asked of Slurm about a run's jobs, and told to it: which are alive, which nobody recorded, cancel them."""

import logging
import os
import subprocess
import time
from collections.abc import Collection, Sequence

from distdnas_hpc.cluster.queue import queue
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.status import submitted_jobs
from distdnas_hpc.errors import UserError

log = logging.getLogger(__name__)


def unrecorded_jobs(run: RunFolder) -> set[str] | None:
    """Return the ids of this user's pending and running jobs that work in the run folder and aren't in its ledger.

    They are of a command that was killed between sbatch and the ledger, or of the scripts in slurm/. None when Slurm
    can't be asked.
    """
    command = ["squeue", "--noheader", "--array", "--format=%i|%Z", f"--user={os.getuid()}"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        log.debug("squeue does not answer: %s", error)
        return None
    here = os.path.realpath(run.path)
    lines = (line.partition("|") for line in told.splitlines())
    return {job for job, _, folder in lines if os.path.realpath(folder) == here} - set(submitted_jobs(run).values())


def wait(run: RunFolder, interval: float = 5.0) -> None:
    """Return when no job of the run is pending or running, looking every `interval` seconds."""
    while queue(run) != {}:  # None: Slurm's controller may be restarting
        time.sleep(interval)


def all_jobs(run: RunFolder, undone: str) -> tuple[set[str], set[str]]:
    """Return the recorded and the unrecorded jobs of the run that are pending or running.

    Raises
    ------
    UserError : Slurm can't be asked; the sentence says that `undone`.
    """
    recorded, unrecorded = queue(run), unrecorded_jobs(run)
    if recorded is None or unrecorded is None:
        raise UserError(
            f"squeue does not answer, so nobody knows whether jobs of {run.path} still run; {undone}. "
            "Try again when 'squeue' works."
        )
    return set(recorded), unrecorded


def cancel(run: RunFolder) -> int:
    """Cancel the run's pending and running jobs, also those of the scripts in slurm/; return how many there were.

    Raises
    ------
    UserError : Slurm can't be asked, or does not obey.
    """
    recorded, unrecorded = all_jobs(run, "nothing was cancelled")
    scancel(run, sorted(recorded | unrecorded))
    return len(recorded | unrecorded)


def scancel(run: RunFolder, jobs: Sequence[str], *options: str) -> None:
    """Cancel jobs; a UserError names them if Slurm does not obey."""
    if not jobs:
        return
    # Recorded first: a task that is told to stop before it starts leaves no other word.
    run.record({"event": "cancelled", "jobs": list(jobs)})
    told = subprocess.run(["scancel", *options, *jobs], capture_output=True, text=True)
    if told.returncode != 0:
        raise UserError(
            f"scancel failed ({' '.join(told.stderr.split())}); cancel these jobs of {run.path} yourself: "
            f"{' '.join(jobs)}."
        )


def few(jobs: Collection[str]) -> str:
    """Write some of the ids, and whether there are more."""
    shown = sorted(jobs)[:4]
    return ", ".join(shown) + (", …" if len(jobs) > len(shown) else "")
