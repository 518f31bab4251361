"""Files from which a task's next attempt goes on: written whole, the last two kept, damaged ones passed over."""

import hashlib
import logging
import zipfile
from pathlib import Path
from typing import Any

import torch

from distdnas_hpc import __version__
from distdnas_hpc.config import Config
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import atomic_write, remove_leftovers

log = logging.getLogger(__name__)

KEPT = 2
"""The newest one, and one more should the disk have damaged it."""


class Checkpoints:
    """The checkpoints of one task.

    A checkpoint holds tables and their optimizer state: 28 million rows of 16 floats, twice, are 3.6 GB. Tensors are
    streamed to the file one after the other, from the device where they are on one, so that writing needs no second
    copy of them (seen: 30 MB more for a file of 1.2 GB, in 3.4 s on a local disk, and 3.3 s to check and read it); on
    disk there are three checkpoints while one is being written.

    Parameters
    ----------
    folder : made when the first one is written. A twin of the task, which Slurm begins when a node does not answer, may
        write there as well: equal steps are equal files.
    identity : what they belong to (config, seed, data …), plain values.
    """

    def __init__(self, folder: Path, identity: dict[str, str | int]) -> None:
        self.folder = folder
        self._identity = identity

    def write(self, step: int, state: dict[str, Any]) -> None:
        """Keep `state` (nested dicts and lists of tensors and plain values) as it is after `step` steps."""
        path = self.folder / f"step_{step:08d}.pt"
        for last_try in (False, True):
            self.folder.mkdir(exist_ok=True)
            remove_leftovers(self.folder)
            try:
                with atomic_write(path) as temporary:
                    torch.save({"identity": self._identity, "step": step, "state": state}, temporary)
                break
            except (FileNotFoundError, RuntimeError):  # torch tells by a RuntimeError that there is no such folder
                if last_try or self.folder.exists():
                    raise
                log.warning("%s is gone: a twin of this task has its result; writing it again", self.folder)
        for old in self._files()[KEPT:]:
            old.unlink(missing_ok=True)

    def newest(self) -> tuple[int, dict[str, Any]] | None:
        """Return step and state of the newest one that is whole; None where there is none.

        Tensors are on the CPU and not read before they are looked at: they are views of the file, so copy what is to
        be kept.

        Raises
        ------
        UserError : it belongs to something else than `identity` says.
        """
        for path in self._files():
            try:
                with zipfile.ZipFile(path) as archive:  # torch's format; reading all of it compares every CRC-32
                    if (damaged := archive.testzip()) is not None:
                        raise zipfile.BadZipFile(f"{damaged} has changed")
                content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
            except Exception as error:  # a damaged file can make its readers stumble anywhere
                log.warning("the checkpoint %s is damaged (%s); going on from the one before, if any", path, error)
                continue
            found = content["identity"]
            differing = sorted(key for key in found | self._identity if found.get(key) != self._identity.get(key))
            if differing:
                raise UserError(
                    f"The checkpoint {path} belongs to something else (it differs in {', '.join(differing)}), so its "
                    f"task can't go on from it; remove {self.folder} to begin again."
                )
            return content["step"], content["state"]
        return None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("step_*.pt"), reverse=True)


def identity(config: Config, seed: int, manifest: Manifest) -> dict[str, str | int]:
    """Return what the checkpoints of a task belong to; `seed` is the task's own, so it stands for the task as well."""
    prepared = (manifest.days, manifest.table_sizes, manifest.dense_mean, manifest.dense_std)
    data = hashlib.sha256(repr(prepared).encode()).hexdigest()
    return {"version": __version__, "config": config.fingerprint(), "seed": seed, "data": data}
