"""What a task's job asks Slurm for, what its shell does first, and when it is told that its time is nearly up."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distdnas_hpc.config import Config

WARNING = 90
"""Seconds before its time limit at which a task is told (SIGUSR2), at most a tenth of its time."""


@dataclass(frozen=True)
class Request:
    """What a task's job asks for, and others of its stage may not: memory in GiB (None: the cluster's), minutes."""

    mem_gb: float | None
    minutes: int


def asked(config: Config, request: Request, *, gpu: bool) -> dict[str, Any]:
    """Return what a task asks Slurm for, by the names of sbatch's options; the cluster decides what isn't there."""
    slurm = config.cluster.slurm
    options = {
        "partition": slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
        "constraint": slurm.constraint,
        "gres": slurm.gres if gpu else None,
        "time": request.minutes,
        "mem": f"{round(request.mem_gb * 1024)}M" if request.mem_gb is not None else None,
        "cpus-per-task": config.cluster.threads,
        "mail-user": slurm.mail_user,
        "mail-type": slurm.mail_type,
        **{key: value for key, value in slurm.sbatch.items() if value is not False},
    }
    return {key: value for key, value in options.items() if value is not None}


def setup(config: Config, code: Path) -> list[str]:
    """Return the shell lines before a task."""
    here = shlex.quote(str(code))
    return [
        f"export OMP_NUM_THREADS={config.cluster.threads}",
        *config.cluster.slurm.setup,
        # Python looks for modules in its working directory first, and then here.
        f"cd {here} && export PYTHONPATH={here}${{PYTHONPATH:+:$PYTHONPATH}}",
    ]


def warning(request: Request) -> int:
    """Return how many seconds before its end a task is told."""
    return min(WARNING, request.minutes * 6)
