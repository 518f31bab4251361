"""What squeue says of a run's jobs, asked once for all of them."""

import logging
import subprocess

from distdnas_hpc.cluster.ended_jobs import FINAL, remember
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.status import submitted_jobs

log = logging.getLogger(__name__)


def queue(run: RunFolder) -> dict[str, str] | None:
    """Return why each pending job of the run waits, in Slurm's word ('Priority'), and '' for each that runs or ends.

    Keys are ids ('123', or '123_4' in an array). None when Slurm can't be asked: there is no squeue, or it does not
    answer. How other jobs ended, as long as the controller remembers, is kept for `ended_states`.
    """
    jobs = set(submitted_jobs(run).values())
    if not jobs:
        return {}
    arrays = sorted({job.partition("_")[0] for job in jobs}, key=int)
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T|%r", f"--jobs={','.join(arrays)}"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.debug("squeue does not answer: %s", error)
        return None
    if told.returncode != 0 and "Invalid job id" not in told.stderr:  # an id that Slurm has forgotten is an answer
        log.debug("squeue does not answer: %s", told.stderr.strip())
        return None
    lines = (line.split("|") for line in told.stdout.splitlines() if line.count("|") >= 2)
    rows = {job: (state, reason) for job, state, reason, *_ in lines if job in jobs}
    remember({job: state for job, (state, _) in rows.items()})
    return {
        job: reason if state == "PENDING" and reason != "None" else ""
        for job, (state, reason) in rows.items()
        if state not in FINAL
    }
