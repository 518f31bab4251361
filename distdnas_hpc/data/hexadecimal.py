"""Eight hexadecimal digits, the first one in a word's lowest byte, tested and decoded at once."""

import numpy as np

from distdnas_hpc.data.compiled import compiled

EACH = np.uint64(0x0101010101010101)
HIGH_BITS = EACH * np.uint64(0x80)

_LOW_NIBBLES = EACH * np.uint64(0x0F)
_CASE_BITS = EACH * np.uint64(0x20)
# Adding these to bytes below 0x80 sets the high bit of those that are at least the character.
_FROM_0, _BEYOND_9, _FROM_A, _BEYOND_F = (EACH * np.uint64(0x80 - ord(character)) for character in "0:ag")


@compiled
def is_hexadecimal(word: np.uint64) -> bool:
    """Tell whether all eight bytes are digits of either case."""
    lower = word | _CASE_BITS
    digits = (word + _FROM_0) & ~(word + _BEYOND_9)
    letters = (lower + _FROM_A) & ~(lower + _BEYOND_F)
    return ((digits | letters) & ~word & HIGH_BITS) == HIGH_BITS


@compiled
def decode(word: np.uint64) -> np.int64:
    """Return the number, 0 to 2³²-1, that eight digits write."""
    # The low nibble of a digit is its value, that of a letter is its value - 9; only letters have bit 6.
    values = (word & _LOW_NIBBLES) + np.uint64(9) * ((word >> np.uint64(6)) & EACH)
    pairs = ((values << np.uint64(4)) | (values >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    quads = ((pairs << np.uint64(8)) | (pairs >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    return np.int64(((quads << np.uint64(16)) | (quads >> np.uint64(32))) & np.uint64(0xFFFFFFFF))
