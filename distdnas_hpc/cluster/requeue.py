"""What a task asks of the Slurm job that it is: to be queued again when it must end too early, and not for ever."""

import logging
import os
import subprocess

from distdnas_hpc.config import Config

NEAR_TIME_LIMIT = "told that its time limit is near"
"""Begins the reason of a task that did not end within the time it had."""

log = logging.getLogger(__name__)


def begun() -> int:
    """Return how often Slurm has begun this job, this time included; 0 outside of Slurm."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0) + 1 if "SLURM_JOB_ID" in os.environ else 0


def begun_too_often(config: Config) -> str:
    """Return why this job should not begin once more, after node failures or preemptions; '' when it should."""
    most = config.cluster.slurm.max_attempts
    if begun() <= most:
        return ""
    return (
        f"its job began {begun()} times, and cluster.slurm.max_attempts allows {most}; see the logs of its attempts, "
        "then queue it anew with: distdnas resubmit RUN"
    )


def must_requeue(near_time_limit: bool) -> bool:
    """Whether a job that was told to stop has to see to it that it is queued again.

    Near its time limit it has. Where it is preempted with a GraceTime it has too: Slurm queues again only what it must
    kill when that time is over, and one that ends by itself, as ours do, has failed. Then Slurm still calls it running,
    which it does not where the job was cancelled or is being queued again.
    """
    return begun() > 0 and (near_time_limit or "JobState=RUNNING" in _scontrol("show", "job", "-o").stdout)


def requeue(config: Config) -> str:
    """Queue this job again, so that it goes on from its checkpoint; return what was done, as the end of a sentence."""
    most = config.cluster.slurm.max_attempts
    if begun() >= most:
        return f"it began {begun()} times, all that cluster.slurm.max_attempts allows; raise cluster.slurm.time_minutes"
    told = _scontrol("requeue")
    if told.returncode:
        fault = told.stderr.strip()
        log.warning("scontrol requeue: %s", fault)
        return f"Slurm would not queue it again ({fault}); go on with: distdnas resubmit RUN"
    return f"Slurm queues it again, beginning {begun() + 1} of at most {most}"


def _scontrol(*command: str) -> "subprocess.CompletedProcess[str]":
    """Run scontrol on this job; where there is none, say so as it would."""
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:  # the last element's own id is also that of the whole array
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    arguments = ["scontrol", *command, job]
    try:
        return subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(arguments, 1, "", str(error))
