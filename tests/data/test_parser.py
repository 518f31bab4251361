"""The compiled parser against a plain one, on any lines."""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distdnas_hpc.config import Schema
from distdnas_hpc.data.faults import find_fault
from distdnas_hpc.data.parser import Parsed, parse
from tests.data.click_logs import assert_equal, slow_rows, small_text

DENSE, SPARSE = 2, 3
INTEGER = re.compile(r"-?[0-9]+")
TOKEN = re.compile(r"[0-9a-fA-F]{8}")


def parsed(text: str, most_faults: int = 1000, dense: int = DENSE, sparse: int = SPARSE) -> Parsed:
    array = np.frombuffer(text.encode("latin-1"), np.uint8)
    return parse(array, text.count("\n"), dense, sparse, most_faults)


def is_good(line: str, dense: int = DENSE) -> bool:
    """Say whether a line without its newline is of the format."""
    label, *values = line.removesuffix("\r").split("\t")
    integers, tokens = values[:dense], values[dense:]
    return (
        (len(integers), len(tokens)) == (dense, SPARSE)
        and label in ("0", "1")
        and all(v == "" or (INTEGER.fullmatch(v) and abs(int(v)) < 2**31) for v in integers)
        and all(v == "" or TOKEN.fullmatch(v) for v in tokens)
    )


integers = st.integers(1 - 2**31, 2**31 - 1).map(str) | st.integers(-9, 9).map(str) | st.just("")
tokens = st.integers(0, 2**32 - 1).map("{:08x}".format)
tokens = tokens | tokens.map(str.upper) | st.text("0123456789abcdefABCDEF", min_size=8, max_size=8) | st.just("")
good_line = st.builds(
    lambda *fields: "\t".join(fields[:-1]) + fields[-1],
    st.sampled_from("01"), *[integers] * DENSE, *[tokens] * SPARSE, st.sampled_from(["\n", "\n", "\r\n"]),
)  # fmt: skip
any_field = st.text("0129aF-+xX.eg/:@G`\x00\x19\x80\xff \r\"'\t\x0b", max_size=10)
near_integer = st.integers(2**31 - 2, 2**31 + 2).map(str) | st.integers(2**31 - 2, 2**70).map("-{}".format)
any_field = any_field | near_integer | tokens | integers


@st.composite
def faulty_line(draw) -> str:
    """A good line with some of it replaced, left out or added."""
    fields = re.split("([\t\r])", draw(good_line)[:-1])
    for _ in range(draw(st.integers(1, 2))):
        i = draw(st.integers(0, len(fields) - 1))
        fields[i : i + draw(st.integers(0, 2))] = draw(st.lists(any_field, max_size=2))
        fields = fields or [""]
    return "".join(fields) + "\n"


@given(st.lists(good_line, min_size=1, max_size=30))
@settings(deadline=None, max_examples=100)
def test_good_lines_come_back(lines):
    rows, faulty = parsed("".join(lines))
    assert_equal(rows, slow_rows("".join(lines), DENSE))
    assert len(faulty) == 0


@given(st.lists(good_line | faulty_line(), min_size=1, max_size=12))
@settings(deadline=None, max_examples=400)
def test_exactly_the_lines_of_the_format_are_taken(lines):
    good = [is_good(line[:-1]) for line in lines]
    rows, faulty = parsed("".join(lines))
    if any(good):
        kept = "".join(line for line, is_kept in zip(lines, good, strict=True) if is_kept)
        assert_equal(rows, slow_rows(kept, DENSE))
    starts = np.cumsum([0, *map(len, lines)])
    expected = [[i, starts[i], starts[i + 1] - 1] for i in range(len(lines)) if not good[i]]
    assert faulty.tolist() == expected
    # Whatever the parser refuses has a name.
    schema = Schema(dense=DENSE, sparse=SPARSE)
    for i, _, _ in expected:
        reason, _ = find_fault(lines[i][:-1].encode("latin-1"), schema)
        assert re.match(r"(\d+ fields?,|label is|I\d is|C\d is) ", reason)


@given(label=any_field | st.just("1"), dense=any_field | st.just("-5"), sparse=any_field | st.just("00ff00FF"))
@example("01", "5", "00000000")
@example("1", "0x1F", "00000000")
@example("1", " 5", "00000000")
@example("1", "+5", "00000000")
@example("1", "-", "00000000")
@example("1", "5", "\0" * 8)
@example("1", "-0000000000000000000005", "00000000")
@example("1", "0" * 9000 + "5", "00000000")
@example("1", "5" * 9000, "00000000")
@example("1", "18446744073709551617", "00000000")  # 2^64 + 1: 1 to who counts in 64 bits
@example("1", "-2147483648", "00000000")
@example("1", "5\r", "00000000")
@example("1", "5", "00000000\r\r")
@example("1", "5", "\r")
@example("1", "5", "\r\r")
@example("1", "5", "0000000")
@example("1", "5", "000000000")
@settings(deadline=None, max_examples=300)
def test_a_single_line_is_taken_or_refused(label, dense, sparse):
    line = f"{label}\t{dense}\t{sparse}"
    digits = re.fullmatch(r"[01]\t(?:-?0*([0-9]{1,10}))?\t([0-9a-fA-F]{8})?\r?", line)
    good = digits is not None and int(digits[1] or 0) < 2**31
    rows, faulty = parsed(line + "\n", dense=1, sparse=1)
    assert (len(rows.label), len(faulty)) == (good, not good)
    if not good:
        assert find_fault(line.encode("latin-1"), Schema(dense=1, sparse=1))


@pytest.mark.parametrize("place", [0, 1, 6, 7])
def test_every_byte_in_a_token(place):
    for byte in set(range(256)) - {ord("\n")}:
        token = bytearray(b"0a9F5c3E")
        token[place] = byte
        rows, faulty = parsed(f"1\t\t{token.decode('latin-1')}\n", dense=1, sparse=1)
        if chr(byte) in "0123456789abcdefABCDEF":
            assert rows.sparse.tolist() == [[int(token, 16)]]
        else:
            assert len(faulty) == 1, chr(byte)


@given(st.lists(good_line | faulty_line(), min_size=1, max_size=12), st.integers(1, 5))
@settings(deadline=None)
def test_it_stops_at_the_last_fault_that_is_asked_for(lines, most):
    every = parsed("".join(lines))
    some = parsed("".join(lines), most)
    assert some.faulty.tolist() == every.faulty[:most].tolist()
    if len(every.faulty) >= most:
        before = every.faulty[most - 1, 0] - (most - 1)
        assert len(some.rows.label) == before
    assert_equal(some.rows, every.rows.part(0, len(some.rows.label)))


def test_other_threads_run_meanwhile():
    text = np.frombuffer(small_text(2000).encode() * 500, np.uint8)
    parse(text, 1_000_000, 2, 3, 1)  # compiles
    with ThreadPoolExecutor(1) as pool:
        ticks = [time.perf_counter()]
        work = pool.submit(parse, text, 1_000_000, 2, 3, 1)
        while not work.done():
            ticks.append(time.perf_counter())
        ticks.append(time.perf_counter())
    longest_stop = np.diff(ticks).max()
    assert longest_stop < (ticks[-1] - ticks[0]) / 2, "the parser gives up the GIL"


def test_it_works_where_no_cache_can_be_written():
    program = """if True:
        import numpy as np
        from distdnas_hpc.data.parser import parse
        print(parse(np.frombuffer(b"1\\t7\\t0000000a\\n", np.uint8), 1, 1, 1, 1).rows)
    """
    nowhere = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "NUMBA_CACHE_DIR": "/proc/nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=os.environ | nowhere
    )
    assert "sparse=array([[10]])" in done.stdout
