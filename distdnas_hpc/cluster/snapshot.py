"""The code that jobs run: a copy of the package in the run folder, so that a later `git pull` changes nothing."""

import contextlib
import hashlib
import shutil
import uuid
from pathlib import Path

import distdnas_hpc

PACKAGE = Path(distdnas_hpc.__file__).parent


def snapshot_folder(run: Path) -> Path:
    """Return where the run keeps this package as it is now: RUN/code/CONTENT; equal code has one copy."""
    digest = hashlib.sha256()
    for source in sorted(path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        digest.update(f"{source.relative_to(PACKAGE)}\0".encode() + source.read_bytes() + b"\0")
    return run / "code" / digest.hexdigest()[:12]


def take_snapshot(run: Path) -> Path:
    """Copy this package to its `snapshot_folder`; return that.

    Older copies stay for the jobs that were submitted with them. Compiled code is copied along and still counts as
    fresh, since files keep their times: thousands of tasks need not compile it again.
    """
    snapshot = snapshot_folder(run)
    if not snapshot.is_dir():
        making = snapshot.with_name(f".{snapshot.name}.{uuid.uuid4().hex[:12]}.tmp")
        try:
            shutil.copytree(PACKAGE, making / PACKAGE.name, ignore=shutil.ignore_patterns("*.tmp*"))
            with contextlib.suppress(OSError):  # another command has just made it
                making.rename(snapshot)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return snapshot
