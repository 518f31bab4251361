"""Files on shared storage: written whole or not at all (DESIGN §7).

Everything a run leaves behind is written to a temporary name in the same folder, synced, and renamed. A reader on any
node sees the old file or the new one, never a part. There are no lock files: NFS and Lustre keep them badly.
"""

import errno
import os
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


@contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, else remove it.

    `durable=False` skips the two fsyncs, for files whose loss in a power cut costs nothing (progress).

    Raises
    ------
    UserError : the disk is full, or a quota reached.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        yield temporary
        if durable:
            _fsync(temporary)
        temporary.replace(path)
        if durable:
            _fsync(path.parent)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"{path} can't be written: {os.strerror(error.errno).lower()}; make room there, then run the same command "
            "again: what is finished is kept."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that a killed writer left in a folder which nobody else writes to now."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink()


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
