"""What a day's codes mean: for each column the id of code 0 (a missing value), 1, 2, …, in one array a day.

The array is a file that is mapped into memory, so a reader holds what is in use and the system takes back the rest.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.dictionary import Tokens
from distdnas_hpc.data.ids import IdMap
from distdnas_hpc.data.side_by_side import side_by_side
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import atomic_write

Ids = NDArray[np.int32]


class Translation(NamedTuple):
    """Ids of a day's codes.

    Attributes
    ----------
    ids : (codes of all columns and one for each column,) int32.
    starts : (sparse,) int64, where a column's ids begin, with that of code 0.
    """

    ids: Ids
    starts: NDArray[np.int64]

    @classmethod
    def open(cls, path: Path, codes: Iterable[int]) -> "Translation":
        """Map a file of `write_translation` into memory; a UserError names one that is missing or damaged."""
        ends = np.cumsum([count + 1 for count in codes])
        try:
            ids = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise UserError(f"{path} can't be read ({error}); prepare the data again.") from None
        if len(ids) != ends[-1]:
            raise UserError(f"{path} has {len(ids)} ids but the manifest says {ends[-1]}; prepare the data again.")
        return cls(ids, np.concatenate([[0], ends[:-1]]))


def write_translation(path: Path, columns: Iterable[tuple[IdMap, Iterator[Tokens]]], codes: Sequence[int]) -> None:
    """Write a day's translation, two columns at a time.

    Parameters
    ----------
    columns : of each column its map and the lists of its dictionary.
    codes : how many tokens the lists of each column have.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        header = {"descr": "<i4", "fortran_order": False, "shape": (sum(codes) + len(codes),)}
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        sizes = [count + 1 for count in codes]  # with the id of code 0, which is 0: a hole in the file reads as zeros
        starts = file.tell() + 4 * np.cumsum([0, *sizes])
        os.truncate(file.fileno(), starts[-1])

        def write(column: tuple[int, tuple[IdMap, Iterator[Tokens]]]) -> None:
            place, (ids_of, lists) = column
            place += 4
            for tokens in lists:
                ids = np.empty(len(tokens), "<i4")
                ids_of.encode(tokens, ids)
                rest = ids.tobytes()
                while rest:
                    written = os.pwrite(file.fileno(), rest, place)
                    place, rest = place + written, rest[written:]

        side_by_side(write, zip(starts[:-1].tolist(), columns, strict=True))
