"""One command at a time submits jobs of a run, and what a killed one had submitted without recording it is found."""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distdnas_hpc.cluster.execute import process_birth, process_record
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import read_yaml, write_yaml

STALE = 600.0
"""Seconds after which a command on another host, that nobody can ask, no longer submits."""


@contextmanager
def only_submitter(run: RunFolder) -> Iterator[bool]:
    """Be the only command that submits jobs of this run; yields whether an earlier one was killed while it did.

    Its sign is a file that appears whole under its name or not at all (link(2) is atomic on NFS, unlike locks).

    Raises
    ------
    UserError : another command is submitting right now.
    """
    claim = run.path / "slurm" / "submitting.yaml"
    claim.parent.mkdir(exist_ok=True)
    mine = claim.with_name(f".submitting.{uuid.uuid4().hex[:12]}.tmp")
    write_yaml(mine, process_record(os.getpid()))
    cut_off = False
    try:
        while True:
            try:
                os.link(mine, claim)
                break
            except FileExistsError:
                cut_off = _refuse_if_at_work(claim, run) or cut_off
                claim.unlink(missing_ok=True)
    finally:
        mine.unlink()
    try:
        yield cut_off
    finally:
        claim.unlink(missing_ok=True)


def _refuse_if_at_work(claim: Path, run: RunFolder) -> bool:
    """Return whether the command that holds the claim was killed; False when it has just finished."""
    try:
        age = time.time() - claim.stat().st_mtime
        holder = read_yaml(claim)
    except (FileNotFoundError, UserError):
        return False
    if holder["host"] == socket.gethostname():
        at_work = bool(holder["born"]) and process_birth(holder["pid"]) == holder["born"]
    else:
        at_work = age < STALE
    if at_work:
        raise UserError(
            f"Another command (process {holder['pid']} on {holder['host']}) is submitting jobs of {run.path} right "
            "now; wait until it has finished."
        )
    return True
