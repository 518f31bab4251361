"""One pass over the text of whole lines, compiled: labels, integers and tokens come out, and which lines are faulty.

A line is: label 0 or 1, integers, tokens of 8 hexadecimal digits, separated by tabs and ended by a newline (or CR and
newline); an empty field is a missing value. What exactly is wrong with a faulty line is told by `faults`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.hexadecimal import decode, is_hexadecimal
from distdnas_hpc.data.rows import MISSING, NO_TOKEN, Columns
from distdnas_hpc.data.simd import WIDTH
from distdnas_hpc.data.usual_lines import BEFORE, WINDOW, parse_usual

_TAB, _NEWLINE, _CR, _MINUS, _ZERO, _NINE = b"\t\n\r-09"
_LARGEST = 2**31 - 1

# Places in the text are unsigned, which spares the test for negative ones at every access: a sixth of the time.
_FAULTY, _ONE, _EIGHT = np.uint64(0), np.uint64(1), np.uint64(8)
_NOWHERE = np.uint64(0)


class Parsed(NamedTuple):
    """What is in some lines.

    Attributes
    ----------
    rows : the faultless lines, with tokens in `sparse`; parts of arrays with room for all lines.
    faulty : (faults, 3) int64, of each faulty line its number (from 0), where it starts and where its newline is.
    """

    rows: Columns
    faulty: NDArray[np.int64]


def parse(text: NDArray[np.uint8], lines: int, dense: int, sparse: int, most_faults: int) -> Parsed:
    """Parse whole lines, up to the faulty line number `most_faults` (at least 1).

    Parameters
    ----------
    text : (bytes,) contiguous, `lines` newlines in it, the last byte one of them.
    dense, sparse : columns of integers and of tokens, at least 1 each.
    """
    label, integers, tokens = (
        np.empty(lines, np.uint8),
        np.empty((dense, lines), np.int32),
        np.empty((sparse, lines), np.int64),
    )
    faulty = np.empty((min(most_faults, lines), 3), np.int64)
    # The 8 bytes from any offset on, as one little-endian number.
    words = np.ndarray(max(len(text) - 7, 0), "<u8", text.data, strides=(1,))
    n, faults = _parse(text, words, label, integers, tokens, faulty)
    return Parsed(Columns(label, integers, tokens).part(0, n), faulty[:faults])


@compiled
def _parse(
    text: NDArray[np.uint8],
    words: NDArray[np.uint64],
    label: NDArray[np.uint8],
    dense: NDArray[np.int32],
    sparse: NDArray[np.int64],
    faulty: NDArray[np.int64],
) -> tuple[int, int]:
    """Fill the arrays from the text; return how many rows and how many faulty lines there are.

    A faulty line's values are overwritten by the next row's. Ends with the text, or when `faulty` is full.
    """
    row = faults = 0
    start = _NOWHERE
    size = np.uint64(len(text))
    ends = np.empty(WINDOW + 1 + WIDTH, np.uint32)
    lines = WINDOW // (1 + len(dense) + len(sparse))  # at most, in a window
    word, length = np.empty(lines, np.uint64), np.empty(lines, np.uint64)
    while start < size and faults < len(faulty):
        rows = 0
        if start >= np.uint64(BEFORE):
            rows, start = parse_usual(text, words, start, label, dense, sparse, row, ends, word, length)
            row += rows
        # Where that gives up, line by line through the same window; through one line where it can't begin yet.
        limit = min(start + np.uint64(WINDOW if start >= np.uint64(BEFORE) else 1), size) if rows == 0 else start
        while start < limit and faults < len(faulty):
            end = _parse_line(text, words, start, label, dense, sparse, row)
            if end:
                row += 1
                start = end
            else:
                end = start
                while text[end] != _NEWLINE:
                    end += _ONE
                faulty[faults, 0] = row + faults
                faulty[faults, 1] = start
                faulty[faults, 2] = end
                faults += 1
                start = end + _ONE
    return row, faults


@compiled
def _parse_line(
    text: NDArray[np.uint8],
    words: NDArray[np.uint64],
    i: np.uint64,
    label: NDArray[np.uint8],
    dense: NDArray[np.int32],
    sparse: NDArray[np.int64],
    row: int,
) -> np.uint64:
    """Parse the line that begins at byte i into a row; return where the next one begins, or 0 if it is faulty."""
    # Every test below fails on a newline that comes too early, so nothing beyond the last one is read.
    if text[i] != _ZERO and text[i] != _ZERO + 1:
        return _FAULTY
    label[row] = text[i] - _ZERO
    i += _ONE
    for j in range(len(dense)):
        if text[i] != _TAB:
            return _FAULTY
        i += _ONE
        if text[i] == _TAB:
            dense[j, row] = MISSING
            continue
        negative = text[i] == _MINUS
        i += np.uint64(negative)
        first = i
        value = 0
        while _ZERO <= text[i] <= _NINE:
            value = 10 * value + (text[i] - _ZERO)
            if value > _LARGEST:
                return _FAULTY
            i += _ONE
        if i == first:
            return _FAULTY
        dense[j, row] = -value if negative else value
    for j in range(len(sparse)):
        if text[i] != _TAB:
            return _FAULTY
        i += _ONE
        if i < np.uint64(len(words)) and is_hexadecimal(words[i]):
            sparse[j, row] = decode(words[i])
            i += _EIGHT
        elif text[i] == _TAB or text[i] == _NEWLINE or text[i] == _CR:
            sparse[j, row] = NO_TOKEN
        else:
            return _FAULTY
    i += np.uint64(text[i] == _CR)
    return i + _ONE if text[i] == _NEWLINE else _FAULTY
