"""How Slurm says that jobs ended: its controller remembers for minutes, its accounting for good, where there is one."""

import logging
import subprocess
from collections.abc import Collection, Mapping, Sequence

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
"""States that a job never leaves, unless it is queued again."""

_known: dict[str, str] = {}
"""Final states told so far, so that watching a run does not ask for them again and again."""


def ended_states(jobs: Collection[str], *, squeue_told: bool = False) -> dict[str, str]:
    """Return the final states of those jobs ('123', '123_4') that Slurm knows to have ended, e.g. 'FAILED'.

    Empty where Slurm does not answer; nothing fails then.

    Parameters
    ----------
    squeue_told : whether squeue was asked for these jobs just now (and `remember` told of them).
    """
    ids = [f"--jobs={','.join(sorted({job.partition('_')[0] for job in jobs}))}"]  # whole arrays: shorter
    squeue = ["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T", *ids]
    sacct = ["sacct", "--noheader", "--allocations", "--parsable2", "--format=JobID,State", *ids]
    for command in [sacct] if squeue_told else [squeue, sacct]:
        if not _known.keys() >= set(jobs):
            # A state that isn't final is no news of a job that has ended: the accounting lags behind.
            _known.update({job: state for job, state in _ask(command).items() if state in FINAL})
    return {job: _known[job] for job in jobs if job in _known}


def remember(states: Mapping[str, str]) -> None:
    """Keep the final ones of the states that squeue tells; a job that is queued again has none any more."""
    for job, state in states.items():
        if state in FINAL:
            _known[job] = state
        else:
            _known.pop(job, None)


def _ask(command: Sequence[str]) -> dict[str, str]:
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        log.debug("%s does not answer: %s", command[0], error)
        return {}
    rows = [line.split("|", 1) for line in told.splitlines() if "|" in line]
    # 'CANCELLED by 1000' is the whole state of a job that a user cancelled.
    return {job: state.split()[0] for job, state in rows if state}
