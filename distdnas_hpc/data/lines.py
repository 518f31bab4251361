"""The text of a raw file, plain or gzip, in blocks of whole lines, and the sentence for a file that can't be read."""

from collections.abc import Generator
from contextlib import contextmanager
from gzip import BadGzipFile
from io import BufferedIOBase, FileIO, RawIOBase
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
from isal import igzip
from isal.igzip_lib import IsalError
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.prefetch import prefetch
from distdnas_hpc.errors import UserError

BUFFERS = 16
"""Blocks of text in memory: one that is parsed, one that is ready and one that is being read."""


_NEWLINE = 10


class TextBlock(NamedTuple):
    """Whole lines that follow each other in a file.

    Attributes
    ----------
    text : (bytes,) uint8, every line ended by a newline; overwritten when the next block is asked for.
    lines : how many there are, at least 1.
    fraction : share of the file that has been read, 0 to 1.
    """

    text: NDArray[np.uint8]
    lines: int
    fraction: float


def read_lines(path: Path, block_bytes: int) -> Generator[TextBlock, None, None]:
    """Yield all lines of a file in blocks of at most `block_bytes`; a thread reads and unpacks ahead.

    gzip is known by its first two bytes; a last line without a newline gets one.

    Raises
    ------
    UserError : the file can't be read, is damaged, or has a line that is longer than a block.
    """
    return prefetch(_read_lines(path, block_bytes), BUFFERS)


def _read_lines(path: Path, block_bytes: int) -> Generator[TextBlock, None, None]:
    # One byte more for the newline that the last line may lack.
    buffers = [bytearray(block_bytes + 1) for _ in range(BUFFERS)]
    lines_before = 0
    rest = bytearray()
    with open_raw(path) as (stream, file):
        size = path.stat().st_size
        for buffer in cycle(buffers):
            buffer[: len(rest)] = rest
            filled = _fill(stream, memoryview(buffer)[:block_bytes], len(rest))
            ended = filled < block_bytes
            if ended and filled and buffer[filled - 1] != ord("\n"):
                buffer[filled] = ord("\n")
                filled += 1
            end = buffer.rfind(b"\n", 0, filled) + 1
            if end:
                text = np.frombuffer(buffer, np.uint8, end)
                lines = count_newlines(text)
                yield TextBlock(text, lines, file.tell() / size)
                lines_before += lines
            elif not ended:
                raise UserError(
                    f"{path}, line {lines_before + 1}: a line longer than {block_bytes >> 20} MiB; "
                    "is this a tab-separated log, plain or gzip (data.raw)?"
                )
            if ended:
                return
            rest = buffer[end:filled]


@compiled
def count_newlines(text: NDArray[np.uint8]) -> int:
    """Count the lines of a text; unlike numpy's way, without an array of the outcomes."""
    newlines = 0
    for byte in text:
        newlines += byte == _NEWLINE
    return newlines


def _fill(stream: BufferedIOBase | RawIOBase, buffer: memoryview, start: int) -> int:
    """Fill a buffer from byte `start` on; return how many bytes are in it, fewer than fit only at the file's end."""
    while start < len(buffer) and (count := stream.readinto(buffer[start:])):
        start += count
    return start


@contextmanager
def open_raw(path: Path) -> Generator[tuple[BufferedIOBase | RawIOBase, FileIO], None, None]:
    """Open a raw file, plain or gzip, as (its text, the file itself); a UserError names one that can't be read."""
    try:
        with path.open("rb", buffering=0) as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            yield igzip.IGzipFile(fileobj=file) if packed else file, file  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise UserError(f"The raw file {path} does not exist; put it there or correct data.raw.") from None
    except (EOFError, IsalError, BadGzipFile) as error:  # type: ignore[misc]  # a wrong stub
        raise UserError(
            f"The raw file {path} is a damaged or cut-off gzip file ({error}); copy it again, "
            "and check the copy with 'gzip -t'."
        ) from None
    except OSError as error:
        raise UserError(
            f"The raw file {path} can't be read ({error.strerror or error}); mend that or correct data.raw."
        ) from None
