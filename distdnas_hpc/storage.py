"""Files on shared storage: written whole or not at all (DESIGN §7).

Everything a run leaves behind is written to a temporary name in the same folder, synced, and renamed. A reader on any
node sees the old file or the new one, never a part. There are no lock files: NFS and Lustre keep them badly.
"""

import contextlib
import errno
import glob
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from distdnas_hpc.errors import UserError

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Reads the YAML that `write_yaml` wrote; the compiled one, where there is one, is ten times as fast."""

CHECKPOINTS = "checkpoints"
"""Folder in a task's folder of what its next attempt goes on from; gone when the task has a result."""


ABANDONED = 3600.0
"""Seconds after which a temporary file that nobody wrote to belongs to nobody."""


@contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, else remove it.

    `durable=False` skips the two fsyncs, for files whose loss in a power cut costs nothing (progress).

    Raises
    ------
    UserError : the disk is full, or a quota reached.
    """
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}.tmp")
    try:
        with naming_full_disk(path):
            yield temporary
            if durable:
                _fsync(temporary)
            temporary.replace(path)
            if durable:
                _fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Raise a UserError where `path` can't be written because the disk is full, or a quota reached."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"{path} can't be written: {os.strerror(error.errno).lower()}; make room there, then run the same command "
            "again: what is finished is kept."
        ) from error


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove the temporary files that killed writers left in a folder, all or those of names that begin with `name`.

    A twin may be at work there: a task that Slurm began again elsewhere because its node no longer answered. So a file
    goes only when its writer, named in it, is dead on this host, or when nobody has written to it for ABANDONED.
    """
    for leftover in folder.glob(".*.tmp" if name is None else f".{glob.escape(name)}.*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # its writer has finished, or someone else cleans up as well
            if _writer_is_dead(leftover.name) or time.time() - leftover.stat().st_mtime > ABANDONED:
                leftover.unlink()


def _writer_is_dead(name: str) -> bool:
    """Whether a temporary file's writer was a process of this host that is no more."""
    told = re.search(rf"\.{re.escape(socket.gethostname())}-(\d+)-[0-9a-f]{{12}}\.tmp$", name)
    if told is None:
        return False
    try:
        os.kill(int(told[1]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # someone else's process
        return False
    return False


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write `text` to `path` in one visible step."""
    with atomic_write(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_yaml(path: Path, content: dict[str, Any]) -> None:
    """Write a mapping as YAML, keys in the order given, in one visible step."""
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping written by `write_yaml`; a UserError names a file that is missing or damaged."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), LOADER)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; is this the folder of a run that got this far?") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML ({error}); restore it from a copy, or redo its task.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} should hold a mapping but holds {type(content).__name__}; redo its task.")
    return content


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
