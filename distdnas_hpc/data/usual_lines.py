"""Many lines of the usual form parsed at once: the places of all separators first, then one column after the other.

Of the usual form are lines that end with a newline alone and whose integers have at most eight digits. Nothing here
depends on a value but through a selection, and columns are loops over short arrays, so the processor neither guesses
nor waits, and works on several rows at a time where it has vector registers: twice as fast as line by line. What is not
of the usual form is left to `parser`.
"""

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.hexadecimal import EACH, HIGH_BITS, decode, is_hexadecimal
from distdnas_hpc.data.rows import MISSING, NO_TOKEN
from distdnas_hpc.data.simd import WIDTH, bits_set, bytes_equal, lowest_bit

WINDOW = 1 << 15
"""Bytes of text looked at at a time, which stay in a core's cache with all that is made of them."""

BEFORE = 8
"""Bytes of text that must lie in front of a window: an integer is read with what stands before it."""

_TAB, _NEWLINE = 9, 10  # literals, as `bytes_equal` asks
_ZERO, _MINUS = np.uint64(ord("0")), np.uint64(ord("-"))
_NONE, _ONE, _EIGHT, _BITS = np.uint64(0), np.uint64(1), np.uint64(8), np.uint64(64)
_BYTE = np.uint64(0xFF)
_ZEROS = EACH * _ZERO
_BEYOND_9 = EACH * np.uint64(0x76)  # added to 10 or more it sets the high bit
_SEPARATORS = 12
"""Places written for 64 bytes without asking how many there are: seldom are there more."""


@compiled
def parse_usual(
    text: NDArray[np.uint8],
    words: NDArray[np.uint64],
    start: np.uint64,
    label: NDArray[np.uint8],
    dense: NDArray[np.int32],
    sparse: NDArray[np.int64],
    row: int,
    ends: NDArray[np.uint32],
    word: NDArray[np.uint64],
    length: NDArray[np.uint64],
) -> tuple[int, np.uint64]:
    """Parse the whole lines of a window into rows from number `row` on, if all of them are of the usual form.

    Parameters
    ----------
    text : (bytes,) contiguous, newlines in it.
    words : (bytes - 7,) the 8 bytes from any place on, as one little-endian number.
    start : where the window begins, behind a newline; at least `BEFORE`.
    label, dense, sparse : (n,), (dense, n), (sparse, n) with room for all lines.
    ends, word, length : scratch, (WINDOW + 1 + WIDTH,), and twice (WINDOW // columns,).

    Returns
    -------
    How many rows were parsed, and where the next line begins; (0, start) where lines are not of the usual form.
    """
    fields = np.uint64(1 + len(dense) + len(sparse))
    separators, newlines = _find_ends(text, start, ends)
    rows = np.int64(newlines)
    if newlines == _NONE or newlines * fields > separators:
        return 0, start
    # Each line's last separator is a newline; there are no more of them, so all others are tabs.
    unusual = _NONE
    for r in range(newlines):
        unusual |= np.uint64(text[ends[(r + _ONE) * fields]] != _NEWLINE)
    if unusual:
        return 0, start
    for r in range(newlines):
        value = np.uint64(text[np.uint64(ends[r * fields]) + _ONE]) ^ _ZERO
        label[row + r] = value
        unusual |= (value >> _ONE) | (np.uint64(ends[r * fields + _ONE] - ends[r * fields]) ^ np.uint64(2))
    for j in range(len(dense)):
        for r in range(newlines):
            place = r * fields + np.uint64(1 + j)
            end = np.uint64(ends[place + _ONE])
            length[r] = end - np.uint64(ends[place]) - _ONE
            word[r] = words[end - _EIGHT]
        unusual |= _integers(word[:rows], length[:rows], dense[j, row : row + rows])
    for j in range(len(sparse)):
        for r in range(newlines):
            place = r * fields + np.uint64(1 + len(dense) + j)
            begin = np.uint64(ends[place]) + _ONE
            length[r] = np.uint64(ends[place + _ONE]) - begin
            word[r] = words[begin]
        unusual |= _tokens(word[:rows], length[:rows], sparse[j, row : row + rows])
    if unusual:
        return 0, start
    return int(rows), np.uint64(ends[newlines * fields]) + _ONE


@compiled
def _find_ends(text: NDArray[np.uint8], start: np.uint64, ends: NDArray[np.uint32]) -> tuple[np.uint64, np.uint64]:
    """Fill ends[1:] with the places of tabs and newlines; return how many there are, and how many newlines.

    ends[0] is where the line before ended. The window is shorter where the text ends: all its bytes are followed by
    WIDTH more, so that vectors are read whole.
    """
    ends[0] = start - _ONE
    found, newlines = _NONE, _NONE
    width = np.uint64(WIDTH)
    if np.uint64(len(text)) < start + width:
        return found, newlines
    limit = min(start + np.uint64(WINDOW), np.uint64(len(text)) - width)
    at = start
    while at < limit:
        breaks = bytes_equal(text, at, _NEWLINE)
        both = bytes_equal(text, at, _TAB) | breaks
        count = bits_set(both)
        newlines += bits_set(breaks)
        place = found + _ONE
        for k in range(np.uint64(_SEPARATORS)):
            ends[place + k] = at + lowest_bit(both)
            both &= both - _ONE
        place += np.uint64(_SEPARATORS)
        while both:
            ends[place] = at + lowest_bit(both)
            both &= both - _ONE
            place += _ONE
        found += count
        at += width
    return found, newlines


@compiled
def _integers(word: NDArray[np.uint64], length: NDArray[np.uint64], out: NDArray[np.int32]) -> np.uint64:
    """Decode fields of `length` bytes, the last eight of which are in `word`; return 0 if all are usual."""
    unusual = _NONE
    for r in range(len(out)):
        n = length[r]
        # The field alone, at the upper end of the word, without its sign.
        shift = _BITS - _EIGHT * min(max(n, _ONE), _EIGHT)
        negative = (word[r] >> shift) & _BYTE == _MINUS
        shift += _EIGHT if negative and n > _ONE else _NONE
        digits = ((word[r] ^ _ZEROS) >> shift) << shift
        faulty = ((digits + _BEYOND_9) | digits) & HIGH_BITS
        unusual |= _NONE if n == _NONE else faulty | np.uint64(n > _EIGHT)
        # Pairs, quadruples and all of the digits become numbers (Lemire & Muła, "Quickly parsing eight digits").
        pairs = digits * np.uint64(10) + (digits >> _EIGHT)
        high = (pairs & np.uint64(0x000000FF000000FF)) * np.uint64(100 + (1000000 << 32))
        low = ((pairs >> np.uint64(16)) & np.uint64(0x000000FF000000FF)) * np.uint64(1 + (10000 << 32))
        value = np.int64((high + low) >> np.uint64(32))
        out[r] = MISSING if n == _NONE else (-value if negative else value)
    return unusual


@compiled
def _tokens(word: NDArray[np.uint64], length: NDArray[np.uint64], out: NDArray[np.int64]) -> np.uint64:
    """Decode fields of `length` bytes, the first eight of which are in `word`; return 0 if all are usual."""
    unusual = _NONE
    for r in range(len(out)):
        missing = length[r] == _NONE
        faulty = np.uint64(not is_hexadecimal(word[r])) | (length[r] ^ _EIGHT)
        unusual |= _NONE if missing else faulty
        out[r] = NO_TOKEN if missing else decode(word[r])
    return unusual
