"""What is in a prepared folder; the manifest is written last, so where it is, the data is complete."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distdnas_hpc.config import Data
from distdnas_hpc.data.shards import ShardInfo
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import read_yaml

MANIFEST = "manifest.yaml"


@dataclass(frozen=True)
class IdsInfo:
    """A day's translation: its path below the prepared folder, how many codes each column has, the file's SHA-256."""

    name: str
    codes: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class Day:
    """One prepared day: its rows, how many of them are clicks, its shards in file order, what their codes mean."""

    rows: int
    clicks: int
    shards: tuple[ShardInfo, ...]
    ids: IdsInfo

    @property
    def files(self) -> dict[str, str]:
        """Checksums of all files by their names below the prepared folder."""
        return {info.name: info.sha256 for info in self.shards} | {self.ids.name: self.ids.sha256}


@dataclass(frozen=True)
class Manifest:
    """Prepared data.

    Attributes
    ----------
    folder : the prepared folder, below which the shards lie.
    days : by number, from 1.
    table_sizes : (sparse,) rows of each embedding table, id 0 included.
    dense_mean, dense_std : (dense,) of f(x) over the present values of the training days; std is never 0.
    dense_columns, sparse_columns : names, in the order of the shards' columns.
    """

    folder: Path
    days: dict[int, Day]
    table_sizes: tuple[int, ...]
    dense_mean: tuple[float, ...]
    dense_std: tuple[float, ...]
    dense_columns: tuple[str, ...]
    sparse_columns: tuple[str, ...]

    @classmethod
    def load(cls, prepared: Path, data: Data | None = None) -> "Manifest":
        """Read the manifest of a prepared folder.

        Parameters
        ----------
        data : refuse a folder that was prepared for another data config; None takes any.

        Raises
        ------
        UserError : no manifest there, a damaged one, or one of another config.
        """
        path = prepared / MANIFEST
        if not path.is_file():
            raise UserError(f"{prepared} holds no prepared data ({MANIFEST} is missing); prepare the data first.")
        content = read_yaml(path)
        try:
            if data is not None:
                _check_same_data(content["data"], data, path)
            return cls(
                folder=prepared,
                days={int(number): _read_day(day) for number, day in content["days"].items()},
                table_sizes=tuple(int(column["rows"]) for column in content["sparse"].values()),
                dense_mean=tuple(float(column["mean"]) for column in content["dense"].values()),
                dense_std=tuple(float(column["std"]) for column in content["dense"].values()),
                dense_columns=tuple(content["dense"]),
                sparse_columns=tuple(content["sparse"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path} is damaged ({error!r}); remove {prepared} and prepare the data again.") from None


def identity(data: Data) -> dict[str, Any]:
    """Return what prepared data depends on, as plain YAML values."""
    return data.model_dump(mode="json", by_alias=True)


def _check_same_data(stored: dict[str, Any], data: Data, path: Path) -> None:
    wanted = identity(data)
    differing = sorted(f"data.{key}" for key in stored.keys() | wanted.keys() if stored.get(key) != wanted.get(key))
    if differing:
        raise UserError(
            f"{path} is of data prepared with another config (it differs in {', '.join(differing)}); "
            "prepare the data again in a new folder."
        )


def _read_day(content: dict[str, Any]) -> Day:
    shards = tuple(
        ShardInfo(str(s["name"]), int(s["rows"]), str(s["sha256"]), s.get("bytes")) for s in content["shards"]
    )
    ids = content["ids"]
    translation = IdsInfo(str(ids["name"]), tuple(map(int, ids["codes"])), str(ids["sha256"]))
    return Day(rows=int(content["rows"]), clicks=int(content["clicks"]), shards=shards, ids=translation)
