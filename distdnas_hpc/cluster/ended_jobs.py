"""How Slurm says that jobs ended: its controller remembers for minutes, its accounting for good, where there is one."""

import logging
import subprocess
from collections.abc import Collection, Sequence

log = logging.getLogger(__name__)

REMEDIES = {
    "OUT_OF_MEMORY": "raise cluster.slurm.mem_gb",
    "TIMEOUT": "raise cluster.slurm.time_minutes",
    "NODE_FAIL": "run the same command again",
    "BOOT_FAIL": "run the same command again",
    "PREEMPTED": "run the same command again",
}
"""What to do about a state, where the state says it."""

FINAL = {"CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "REVOKED", *REMEDIES}
"""States that a job never leaves."""

_known: dict[str, str] = {}
"""Final states told so far, so that watching a run does not ask for them again and again."""


def ended_states(jobs: Collection[str]) -> dict[str, str]:
    """Return the final states of those jobs ('123', '123_4') that Slurm knows to have ended, e.g. 'FAILED'.

    Empty where Slurm does not answer; nothing fails then.
    """
    ids = [f"--jobs={','.join(sorted(jobs))}"]
    squeue = ["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T", *ids]
    sacct = ["sacct", "--noheader", "--allocations", "--parsable2", "--format=JobID,State", *ids]
    for command in (squeue, sacct):
        if not _known.keys() >= set(jobs):
            _known.update(_ask(command))
    return {job: _known[job] for job in jobs if job in _known}


def _ask(command: Sequence[str]) -> dict[str, str]:
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        log.debug("%s does not answer: %s", command[0], error)
        return {}
    rows = [line.split("|", 1) for line in told.splitlines() if "|" in line]
    # 'CANCELLED by 1000' is the whole state of a job that a user cancelled.
    states = {job: state.split()[0] for job, state in rows if state}
    return {job: state for job, state in states.items() if state in FINAL}
