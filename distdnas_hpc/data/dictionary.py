"""A day's tokens of one column as codes 1, 2, … in the order in which they first appear; shards hold these codes.

So the text is read once: which id a token gets is known only when all days have been read, and then a day's list of
tokens, a small part of it, is translated (`day_ids`) and not its rows. Frequent tokens come early, so they have small
codes, which pack well and lie close together in the translation. 0 is a missing value.

Memory is bounded. Where a list has RUN_TOKENS tokens, a new one is begun and the codes go on: a token then has a code
in each list that it is in. Where a column has more tokens than its embedding table may have rows, so that it will be
hashed anyway, no more are listed, and the row that a token is hashed to stands there as a negative code.
"""

import mmap
from collections.abc import Sequence

import numpy as np
from numba import carray
from numpy.typing import NDArray

from distdnas_hpc.data.compiled import compiled
from distdnas_hpc.data.rows import NO_TOKEN
from distdnas_hpc.data.simd import pointer_to
from distdnas_hpc.data.token_hash import hash_into
from distdnas_hpc.errors import UserError

RUN_TOKENS = 5_000_000
"""Tokens of a column that are listed before a new list is begun: 16,777,216 slots of 8 bytes, and 8 bytes a token."""

LARGEST_CODE = 2**31 - 1
"""Codes are 32-bit integers; lists that begin anew must not run over."""

_SMALLEST_BITS = 10
_DENSE_BITS = 16
"""Beyond so many slots their number is doubled, not quadrupled: caches count then."""
_STRETCH = 1 << 16
_AHEAD = 256
"""Tokens whose slots are read before any is looked at: as many cache lines as half of the first cache has."""
_HUGE_PAGE = 2 << 20

# A slot has the token's fingerprint in its upper half and its place in the list, from 1, in the lower one, with the
# highest bit set where the token is longer than its fingerprint. 0 is a free slot.
_HALF, _LOWER, _PLACE, _LONG = np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(0x7FFFFFFF), np.uint64(0x80000000)
_FREE, _ONE = np.uint64(0), np.uint64(1)
_NONE = np.uint64(0)
_LISTED = 3  # its place in a state
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

Tokens = NDArray[np.int64]
Codes = NDArray[np.int32]
Slots = NDArray[np.uint64]
Whole = int | np.int64


class Dictionary:
    """Gives the tokens of one column their codes.

    Parameters
    ----------
    hashed_rows : rows of the embedding table that tokens are hashed into where they are more than have room in it; None
        where they are listed in any case. (A table larger than a list hashes nothing here: whether lists of 5 million
        tokens have them in common is not known yet.)

    Attributes
    ----------
    list_start : the largest code of the lists before the present one.
    hashed : no more tokens are listed.
    state : what `_encode_columns` needs to know of it, and changes.
    """

    def __init__(self, hashed_rows: int | None = None) -> None:
        self._hashed_rows = hashed_rows if hashed_rows is not None and hashed_rows <= RUN_TOKENS else None
        self._bits = _SMALLEST_BITS
        self._slots = _new_slots(self._bits)
        self._list = np.empty(_room(self._bits), np.int64)
        self._taken = 0
        self._earlier: list[Tokens] = []
        self.list_start = 0
        self.hashed = False
        self._tell_state(0)

    @property
    def size(self) -> int:
        """The largest code so far."""
        return self.list_start + self._listed

    @property
    def _listed(self) -> int:
        return int(self.state[_LISTED])

    def encode(self, tokens: Tokens, codes: Codes) -> None:
        """Write the codes of tokens (n,) into codes (n,); `NO_TOKEN` gets 0."""
        encode_columns([self], tokens[None], codes[None])

    def take_new(self) -> Tokens:
        """Return the tokens that were listed since the last call, in the order of their codes."""
        new = np.concatenate([*self._earlier, self._list[self._taken : self._listed]])
        self._earlier, self._taken = [], self._listed
        return new

    def resume(self, tokens: Tokens, *, hashed: bool) -> None:
        """Take over what another one listed between two calls of `take_new`; called for all of them in order.

        Parameters
        ----------
        hashed : whether it listed no more then.
        """
        for start in range(0, len(tokens), _STRETCH):
            self.encode(tokens[start : start + _STRETCH], np.empty(min(_STRETCH, len(tokens) - start), np.int32))
        self.take_new()
        if hashed:
            self._give_up()

    def make_room(self) -> None:
        """Let the next new token be listed, or hashed."""
        listed = self._listed
        if listed + 1 == self._hashed_rows:
            self._give_up()
        elif listed == RUN_TOKENS:
            if self.size > LARGEST_CODE - RUN_TOKENS:
                raise UserError(
                    f"A day has more than {LARGEST_CODE - RUN_TOKENS:,} tokens to list in one column, more than shards "
                    "can tell apart; cut the day into shorter ones (data.rows_per_day)."
                )
            self._earlier.append(self._list[self._taken : listed].copy())
            self.list_start, self._taken = self.size, 0
            self._slots[:] = _FREE
            self._tell_state(0)
        else:
            self._bits += 2 if self._bits < _DENSE_BITS else 1
            old, self._slots = self._slots, _new_slots(self._bits)
            _move(old, self._slots, self._bits, self._list)
            longer = np.empty(min(_room(self._bits), RUN_TOKENS), np.int64)
            longer[:listed] = self._list[:listed]
            self._list = longer
            self._tell_state(listed)

    def _give_up(self) -> None:
        self.hashed = True
        self._slots = _new_slots(0)
        self._tell_state(self._listed)

    def _tell_state(self, listed: int) -> None:
        limit = min(_room(self._bits), (self._hashed_rows or RUN_TOKENS + 1) - 1)
        hashed_rows = (self._hashed_rows or 0) if self.hashed else 0
        slots, tokens = self._slots.ctypes.data, self._list.ctypes.data
        self.state = np.array([slots, self._bits, tokens, listed, limit, self.list_start, hashed_rows], np.uint64)


def encode_columns(dictionaries: Sequence[Dictionary], tokens: Tokens, codes: Codes) -> None:
    """Write the codes of tokens (columns, n) into codes (columns, n), each column's by its dictionary.

    One call for all columns, because a thread that comes back from compiled code waits for Python's lock.
    """
    column: Whole = 0
    row: Whole = 0
    while column < len(dictionaries):
        state = np.stack([dictionary.state for dictionary in dictionaries])
        column, row = _encode_columns(tokens, codes, state, column, row)
        for dictionary, listed in zip(dictionaries, state[:, _LISTED], strict=True):
            dictionary.state[_LISTED] = listed
        if column < len(dictionaries):
            dictionaries[int(column)].make_room()


def _room(bits: int) -> int:
    """Return the number of tokens for 2^bits slots: so many in the cache, and still short ways to a free one."""
    return (1 << bits) * 3 // 4


def _new_slots(bits: int) -> Slots:
    """Return 2^bits free slots, on huge pages where the system has them: a slot is hardly ever near the last one."""
    if 8 << bits < _HUGE_PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(1 << bits, np.uint64)
    memory = mmap.mmap(-1, (8 << bits) + _HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    everything = np.frombuffer(memory, np.uint8)
    start = -everything.ctypes.data % _HUGE_PAGE
    return everything[start : start + (8 << bits)].view(np.uint64)


@compiled
def _fingerprint(token: np.int64) -> np.uint64:
    """Return 32 bits of a token, which are the token itself where it has no more."""
    return (np.uint64(token) ^ (np.uint64(token) >> _HALF)) & _LOWER


@compiled
def _slot(token: np.int64, bits: Whole) -> np.uint64:
    # Fibonacci hashing (Knuth, The Art of Computer Programming, vol. 3, §6.4): the product's upper bits depend on all
    # bits of the token.
    return (np.uint64(token) * _GOLDEN) >> np.uint64(64 - bits)


@compiled
def _encode_columns(
    tokens: Tokens, codes: Codes, state: NDArray[np.uint64], column: Whole, row: Whole
) -> tuple[Whole, Whole]:
    """Encode columns from a row of a column on; return where there is no room for a new token, or (columns, 0).

    Parameters
    ----------
    state : (columns, 7): the address of a column's slots and their number in powers of two; the address of its list,
        how many tokens are listed (brought up to date here), how many may be, and the code before the first one; the
        rows that tokens are hashed into, 0 where they are listed.
    """
    while column < len(tokens):
        slots_at, bits, list_at, listed, limit, before, hashed_rows = state[column]
        some, out = tokens[column, row:], codes[column, row:]
        if hashed_rows > _NONE:
            hash_into(some, np.int64(hashed_rows), out)
            for i in range(len(out)):
                out[i] = -out[i]
        else:
            slots = carray(pointer_to(slots_at), (1 << np.int64(bits),), np.uint64)
            listed_tokens = carray(pointer_to(list_at), (np.int64(limit),), np.int64)
            encoded, size = _encode(
                some, out, slots, np.int64(bits), listed_tokens, np.int64(listed), np.int64(limit), np.int64(before)
            )
            state[column, _LISTED] = size
            if encoded < len(some):
                return column, row + encoded
        column += 1
        row = 0
    return column, row


@compiled
def _encode(
    tokens: Tokens,
    codes: Codes,
    slots: Slots,
    bits: Whole,
    listed_tokens: Tokens,
    listed: Whole,
    limit: Whole,
    before: Whole,
) -> tuple[Whole, Whole]:
    """Encode tokens and list new ones, up to the first new one when `limit` are listed.

    Most tokens are in their first slot. These are looked up in a loop without branches, so that the processor waits for
    many slots at a time; what is left is looked for one by one.

    Parameters
    ----------
    before : the code of the first token in the list, less 1.

    Returns
    -------
    How many tokens are encoded, and how many are listed.
    """
    n = np.uint64(len(tokens))
    touched = _FREE
    for begin in range(np.uint64(0), n, np.uint64(_AHEAD)):
        end = min(begin + np.uint64(_AHEAD), n)
        if bits > _DENSE_BITS:  # slots are hardly in a cache: a loop that only reads them waits for more at a time
            for i in range(begin, end):
                touched ^= slots[_slot(tokens[i], bits)]
        for i in range(begin, end):
            token = tokens[i]
            slot = slots[_slot(token, bits)]
            first = np.int32(slot & _LOWER)
            found = (slot >> _HALF == np.uint64(token)) & (first > 0)
            code = np.int32(first + before) if found else np.int32(-1)
            codes[i] = np.int32(0) if token == NO_TOKEN else code
    left = np.empty(len(tokens) + 1, np.uint64)
    left[n] = touched  # kept, for the compiler drops what nobody uses
    many = np.uint64(0)
    for i in range(n):
        left[many] = i
        many += np.uint64(codes[i] < 0)
    for k in range(many):
        i = left[k]
        token = tokens[i]
        place, slot_number = _find(token, slots, bits, listed_tokens)
        if place == 0:
            if listed == limit:
                return np.int64(i), listed
            listed_tokens[listed] = token
            listed += 1
            place = listed
            slots[slot_number] = _slot_of(token, place)
        codes[i] = place + before
    return len(tokens), listed


@compiled
def _find(token: np.int64, slots: Slots, bits: Whole, listed_tokens: Tokens) -> tuple[Whole, np.uint64]:
    """Return a token's place in the list, and its slot; 0 and the slot to put it into where it is not listed."""
    last = np.uint64(len(slots) - 1)
    fingerprint = _fingerprint(token)
    number = _slot(token, bits)
    while slots[number] != _FREE:
        slot = slots[number]
        if slot >> _HALF == fingerprint:
            place = np.int64(slot & _PLACE)
            # Short tokens are told apart by their fingerprints: no need of the list, which is not in the cache.
            short = slot & _LONG == _FREE and np.uint64(token) <= _LOWER
            if short or listed_tokens[place - 1] == token:
                return place, number
        number = (number + _ONE) & last
    return 0, number


@compiled
def _move(old: Slots, slots: Slots, bits: Whole, listed_tokens: Tokens) -> None:
    """Put what is in some slots into 2^bits free ones.

    A slot's number is the upper bits of a hash, so both are gone through from first to last, with the caches' help.
    """
    last = np.uint64(len(slots) - 1)
    taken = np.empty(_STRETCH, np.uint64)
    for first in range(0, len(old), _STRETCH):
        many = np.uint64(0)
        for slot in old[first : first + _STRETCH]:
            taken[many] = slot
            many += np.uint64(slot != _FREE)
        for slot in taken[:many]:
            token = np.int64(slot >> _HALF)
            if slot & _LONG != _FREE:
                token = listed_tokens[np.int64(slot & _PLACE) - 1]
            number = _slot(token, bits)
            while slots[number] != _FREE:
                number = (number + _ONE) & last
            slots[number] = slot


@compiled
def _slot_of(token: np.int64, place: Whole) -> np.uint64:
    long = _LONG if np.uint64(token) > _LOWER else _FREE
    return (_fingerprint(token) << _HALF) | long | np.uint64(place)
