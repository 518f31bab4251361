"""Which shards of a day an interrupted attempt had finished, so that the next one keeps them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from distdnas_hpc.data.shards import ShardInfo, file_sha256
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import read_yaml, remove_leftovers, write_yaml


class ShardRecord:
    """The hidden file in a day's folder that lists its finished shards until the day is done.

    Parameters
    ----------
    folder : of the day, below the prepared folder.
    source : plain values that are equal exactly when the shards would be; shards of another source are not taken over.
    """

    def __init__(self, folder: Path, source: dict[str, Any]) -> None:
        self.folder = folder
        self._path = folder / ".parsing.yaml"
        self._source = source
        self.finished: list[ShardInfo] = []

    def resume(self) -> None:
        """Take over the shards of an interrupted attempt that still have their checksums; remove what it left half."""
        remove_leftovers(self.folder)
        try:
            content = read_yaml(self._path)
        except UserError:  # none, or damaged: begin anew
            return
        if content.get("source") == self._source:
            for entry in content["finished"]:
                done = ShardInfo(**entry)
                path = self.folder.parent / done.name
                if not path.is_file() or file_sha256(path) != done.sha256:
                    break
                self.finished.append(done)

    def add(self, done: ShardInfo) -> None:
        """Put a shard on record."""
        self.finished.append(done)
        write_yaml(self._path, {"source": self._source, "finished": [asdict(entry) for entry in self.finished]})

    def close(self) -> None:
        """Remove the record of a day that is done, and shards of an earlier, longer day."""
        names = {Path(entry.name).name for entry in self.finished}
        for path in self.folder.glob("shard_*.h5"):
            if path.name not in names:
                path.unlink()
        self._path.unlink(missing_ok=True)
