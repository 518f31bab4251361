"""What an interrupted encoding of a day had finished, so that the next attempt goes on from there."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distdnas_hpc.data.shards import ShardInfo, file_sha256
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import read_yaml, remove_leftovers, write_yaml


@dataclass(frozen=True)
class Finished:
    """A finished shard and its clicks."""

    shard: ShardInfo
    clicks: int


class EncodingRecord:
    """The hidden file in a day's folder that lists its finished shards until all are.

    Parameters
    ----------
    folder : of the day, below the prepared folder.
    source : plain values that are equal exactly when the shards would be; shards of another source are not taken over.
    """

    def __init__(self, folder: Path, source: dict[str, Any]) -> None:
        self._folder = folder
        self._path = folder / ".encoding.yaml"
        self._source = source
        self.finished: list[Finished] = []

    def resume(self) -> None:
        """Take over the shards of an interrupted attempt that still have their checksums; remove what it left half."""
        remove_leftovers(self._folder)
        try:
            content = read_yaml(self._path)
        except UserError:  # none, or damaged: begin anew
            return
        if content.get("source") == self._source:
            for entry in content["finished"]:
                done = Finished(ShardInfo(**entry["shard"]), entry["clicks"])
                path = self._folder.parent / done.shard.name
                if not path.is_file() or file_sha256(path) != done.shard.sha256:
                    break
                self.finished.append(done)

    def add(self, done: Finished) -> None:
        """Put a shard on record."""
        self.finished.append(done)
        write_yaml(self._path, {"source": self._source, "finished": [asdict(entry) for entry in self.finished]})

    def close(self) -> None:
        """Remove the record of a day whose shards are all there, and shards of an earlier, longer day."""
        names = {Path(entry.shard.name).name for entry in self.finished}
        for path in self._folder.glob("shard_*.h5"):
            if path.name not in names:
                path.unlink()
        self._path.unlink(missing_ok=True)
