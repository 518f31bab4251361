"""An open-addressing hash table of tokens, compiled: what counting distinct tokens and looking up their ids stand on.

A table is an int64 array (slots, 1 or 2): a token, or `NO_TOKEN` in a free slot, and a number beside it. Slots are a
power of two; a token's first slot are bits of its product with 2⁶⁴ over the golden ratio (Knuth, The Art of Computer
Programming, vol. 3, §6.4), and the next free one is taken.
"""

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.rows import NO_TOKEN

Tokens = NDArray[np.int64]
Table = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FREE = np.int64(NO_TOKEN)
_SMALLEST = 1 << 10


def new_table(tokens: int, columns: int) -> Table:
    """Return an empty table with room for so many tokens; it has 8 × columns × 1.6 to 3.2 bytes for each of them."""
    slots = _SMALLEST
    while room(slots) < tokens:
        slots *= 2
    table = np.zeros((slots, columns), np.int64)
    table[:, 0] = _FREE
    return table


def room(slots: int) -> int:
    """Return the number of tokens that a table of so many slots may hold: 5/8 keeps the ways to a free slot short."""
    return slots * 5 // 8


@compiled
def _slot(token: np.int64, slots: int) -> np.uint64:
    # Bits from the 32nd on depend on all the lower ones of the token.
    return ((np.uint64(token) * _GOLDEN) >> np.uint64(32)) & np.uint64(slots - 1)


@compiled
def count_in(tokens: Tokens, start: int, table: Table, size: int, limit: int) -> tuple[int, int]:
    """Put tokens[start:] into a table that holds `size`, and count them where it has a second column.

    `NO_TOKEN` is skipped. Stops in front of the first new token when the table holds `limit` tokens.

    Returns
    -------
    The index of the first token that is not in, and the number of different tokens in the table.
    """
    slots, counted = len(table), table.shape[1] > 1
    last = np.uint64(slots - 1)
    for i in range(start, len(tokens)):
        token = tokens[i]
        if token == _FREE:
            continue
        slot = _slot(token, slots)
        while table[slot, 0] != token:
            if table[slot, 0] == _FREE:
                if size == limit:
                    return i, size
                table[slot, 0] = token
                size += 1
                break
            slot = (slot + np.uint64(1)) & last
        if counted:
            table[slot, 1] += 1
    return len(tokens), size


@compiled
def copy_into(source: Table, table: Table) -> None:
    """Put everything that `source` holds into an empty table of at least its room."""
    slots = len(table)
    last = np.uint64(slots - 1)
    for i in range(len(source)):
        if source[i, 0] != _FREE:
            slot = _slot(source[i, 0], slots)
            while table[slot, 0] != _FREE:
                slot = (slot + np.uint64(1)) & last
            table[slot] = source[i]


@compiled
def number(tokens: Tokens, table: Table) -> None:
    """Put different tokens into an empty table of two columns, numbered from 1 in the order given."""
    slots = len(table)
    last = np.uint64(slots - 1)
    for i in range(len(tokens)):
        slot = _slot(tokens[i], slots)
        while table[slot, 0] != _FREE:
            slot = (slot + np.uint64(1)) & last
        table[slot, 0] = tokens[i]
        table[slot, 1] = i + 1


@compiled
def look_up(tokens: Tokens, table: Table, ids: NDArray[np.int32]) -> None:
    """Write the number of each token (n,) into ids (n,); 0 for one that is not in the table, as `NO_TOKEN`."""
    slots = len(table)
    last = np.uint64(slots - 1)
    for i in range(len(tokens)):
        token = tokens[i]
        slot = _slot(token, slots)
        while table[slot, 0] != token and table[slot, 0] != _FREE:
            slot = (slot + np.uint64(1)) & last
        # A free slot has no number: 0. A missing token 'is found' there.
        ids[i] = table[slot, 1]


@compiled
def hash_into(tokens: Tokens, rows: int, ids: NDArray[np.int32]) -> None:
    """Write an id from 1 to rows - 1 for each token (n,) into ids (n,); 0 for `NO_TOKEN`."""
    for i in range(len(tokens)):
        low = np.uint32(tokens[i] & 0xFFFFFFFF)
        high = np.uint32(tokens[i] >> 32)
        ids[i] = 0 if tokens[i] == _FREE else 1 + mix(low ^ mix(high)) % np.uint32(rows - 1)


@compiled
def mix(x: np.uint32) -> np.uint32:
    """Scramble a 32-bit number one to one: the finaliser of MurmurHash3 (Appleby, public domain); 0 stays 0."""
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(x ^ (x >> np.uint32(16)))
