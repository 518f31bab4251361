"""What a task asks of the Slurm job that it is: to be queued again near its time limit, and not for ever."""

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


def requeue(config: Config) -> str:
    """Queue this job again, so that it goes on from its checkpoint; return what was done, as the end of a sentence."""
    most = config.cluster.slurm.max_attempts
    if begun() >= most:
        return f"it began {begun()} times, all that cluster.slurm.max_attempts allows; raise cluster.slurm.time_minutes"
    job = os.environ["SLURM_JOB_ID"]
    try:
        told = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=60)
        fault = told.stderr.strip() if told.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        fault = str(error)
    if fault:
        log.warning("scontrol requeue %s: %s", job, fault)
        return f"Slurm would not queue it again ({fault}); go on with: distdnas resubmit RUN"
    return f"Slurm queues it again, beginning {begun() + 1} of at most {most}"
