"""One pass over the text of whole lines, compiled: labels, integers and tokens come out, and which lines are faulty.

A line is: label 0 or 1, integers, tokens of 8 hexadecimal digits, separated by tabs and ended by a newline (or CR and
newline); an empty field is a missing value. What exactly is wrong with a faulty line is told by `faults`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.rows import MISSING, NO_TOKEN, Rows

_TAB, _NEWLINE, _CR, _MINUS, _ZERO, _NINE = b"\t\n\r-09"
_LARGEST = 2**31 - 1

# Places in the text are unsigned, which spares the test for negative ones at every access: a sixth of the time.
_FAULTY, _ONE, _EIGHT = np.uint64(0), np.uint64(1), np.uint64(8)

# Eight bytes of text, the first one in a word's lowest byte, are tested and decoded at once ("SIMD within a register").
_EACH = np.uint64(0x0101010101010101)
_HIGH_BITS = _EACH * np.uint64(0x80)
_LOW_NIBBLES = _EACH * np.uint64(0x0F)
_CASE_BITS = _EACH * np.uint64(0x20)
# Adding these to bytes below 0x80 sets the high bit of those that are at least the character.
_FROM_0, _BEYOND_9, _FROM_A, _BEYOND_F = (_EACH * np.uint64(0x80 - ord(character)) for character in "0:ag")


class Parsed(NamedTuple):
    """What is in some lines.

    Attributes
    ----------
    rows : the faultless lines, with tokens in `sparse`.
    faulty : (faults, 3) int64, of each faulty line its number (from 0), where it starts and where its newline is.
    """

    rows: Rows
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
        np.empty((lines, dense), np.int32),
        np.empty((lines, sparse), np.int64),
    )
    faulty = np.empty((min(most_faults, lines), 3), np.int64)
    # The 8 bytes from any offset on, as one little-endian number.
    words = np.ndarray(max(len(text) - 7, 0), "<u8", text.data, strides=(1,))
    n, faults = _parse(text, words, label, integers, tokens, faulty)
    return Parsed(Rows(label[:n], integers[:n], tokens[:n]), faulty[:faults])


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
    start = np.uint64(0)
    while start < np.uint64(len(text)):
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
            if faults == len(faulty):
                break
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
    for j in range(dense.shape[1]):
        if text[i] != _TAB:
            return _FAULTY
        i += _ONE
        if text[i] == _TAB:
            dense[row, j] = MISSING
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
        dense[row, j] = -value if negative else value
    for j in range(sparse.shape[1]):
        if text[i] != _TAB:
            return _FAULTY
        i += _ONE
        if i < np.uint64(len(words)) and _is_hexadecimal(words[i]):
            sparse[row, j] = _decode(words[i])
            i += _EIGHT
        elif text[i] == _TAB or text[i] == _NEWLINE or text[i] == _CR:
            sparse[row, j] = NO_TOKEN
        else:
            return _FAULTY
    i += np.uint64(text[i] == _CR)
    return i + _ONE if text[i] == _NEWLINE else _FAULTY


@compiled
def _is_hexadecimal(word: np.uint64) -> bool:
    lower = word | _CASE_BITS
    digits = (word + _FROM_0) & ~(word + _BEYOND_9)
    letters = (lower + _FROM_A) & ~(lower + _BEYOND_F)
    return ((digits | letters) & ~word & _HIGH_BITS) == _HIGH_BITS


@compiled
def _decode(word: np.uint64) -> np.int64:
    """Turn 8 hexadecimal digits into the number that they write."""
    # The low nibble of a digit is its value, that of a letter is its value - 9; only letters have bit 6.
    values = (word & _LOW_NIBBLES) + np.uint64(9) * ((word >> np.uint64(6)) & _EACH)
    pairs = ((values << np.uint64(4)) | (values >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    quads = ((pairs << np.uint64(8)) | (pairs >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    return np.int64(((quads << np.uint64(16)) | (quads >> np.uint64(32))) & np.uint64(0xFFFFFFFF))
