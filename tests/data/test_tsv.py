"""The reader against a slow one on real rows and on any rows, and the sentence for every fault."""

import gzip
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from distdnas_hpc.config import Schema
from distdnas_hpc.data import tsv
from distdnas_hpc.data.rows import MISSING, NO_TOKEN
from distdnas_hpc.data.tsv import parse, read_all_days, read_day
from distdnas_hpc.errors import UserError
from tests.data.click_logs import (
    REAL,
    assert_equal,
    joined,
    real_data,
    slow_real_day,
    slow_rows,
    small_data,
    small_line,
    small_text,
)

ONE_OF_EACH = Schema(dense=1, sparse=1)


def read(data, day=1):
    return joined(block.rows for block in read_day(data, day))


def fault_of(data, day=1) -> str:
    with pytest.raises(UserError) as caught:
        read(data, day)
    return str(caught.value)


@pytest.fixture
def tiny_blocks(monkeypatch):
    monkeypatch.setattr(tsv, "BLOCK_BYTES", 300)


@pytest.mark.parametrize("day", [1, 2, 6])
def test_real_rows_are_those_of_the_slow_reader(day):
    rows = read(real_data(), day)
    assert_equal(rows, slow_real_day(day))
    assert (rows.label.dtype, rows.dense.dtype, rows.sparse.dtype) == (np.uint8, np.int32, np.int64)


def test_all_days_of_a_cut_file_follow_each_other():
    data = real_data()
    assert_equal(joined(b.rows for b in read_all_days(data)), joined(read(data, day) for day in range(1, 7)))


def test_rows_do_not_depend_on_where_blocks_end(tmp_path, tiny_blocks):
    (tmp_path / "day_0").write_text(small_text(200))
    blocks = list(read_day(small_data(tmp_path), 1))
    assert len(blocks) > 20
    assert_equal(joined(b.rows for b in blocks), slow_rows(small_text(200), 2))
    assert sum(b.text_bytes for b in blocks) == len(small_text(200))
    fractions = [b.fraction for b in blocks]
    assert fractions == sorted(fractions)
    assert (fractions[0] < 0.2, fractions[-1]) == (True, 1.0)


@pytest.mark.parametrize("day", [1, 2, 3])
def test_cuts_between_days_fall_anywhere_in_blocks(tmp_path, tiny_blocks, day):
    (tmp_path / "log").write_text(small_text(110))
    data = small_data(tmp_path, raw=str(tmp_path / "log"), rows_per_day=35, days=3)
    assert_equal(read(data, day), slow_rows(small_text(35, first=35 * (day - 1)), 2))


def test_gzip_is_known_by_content_not_by_name(tmp_path):
    (tmp_path / "day_0").write_bytes(gzip.compress(small_text(10).encode()))
    (tmp_path / "day_1").write_bytes(b"".join(gzip.compress(small_line(i).encode()) for i in range(10)))  # like pigz
    (tmp_path / "0.gz").write_text(small_text(10))
    expected = slow_rows(small_text(10), 2)
    assert_equal(read(small_data(tmp_path, days=2), 1), expected)
    assert_equal(read(small_data(tmp_path, days=2), 2), expected)
    assert_equal(read(small_data(tmp_path, raw=f"{tmp_path}/{{day}}.gz")), expected)


@pytest.mark.parametrize("change", [lambda t: t.replace("\n", "\r\n"), lambda t: t[:-1], lambda t: t[:-1] + "\r\n"])
def test_windows_line_ends_and_a_missing_last_newline_are_fine(tmp_path, change):
    (tmp_path / "day_0").write_bytes(change(small_text(10)).encode())
    assert_equal(read(small_data(tmp_path)), slow_rows(small_text(10), 2))


def test_missing_is_not_zero_and_extremes_fit(tmp_path):
    (tmp_path / "day_0").write_text("1\t\t0\t\t00000000\tffffffff\n0\t2147483647\t-2147483647\tFFFFFFFF\taBcDeF01\t\n")
    rows = read(small_data(tmp_path))
    assert rows.dense.tolist() == [[MISSING, 0], [2**31 - 1, 1 - 2**31]]
    assert rows.sparse.tolist() == [[NO_TOKEN, 0, 2**32 - 1], [2**32 - 1, 0xABCDEF01, NO_TOKEN]]


integers = st.none() | st.integers(1 - 2**31, 2**31 - 1)
tokens = st.none() | st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(st.integers(0, 1), integers, integers, tokens, tokens, tokens), min_size=1, max_size=30))
@settings(deadline=None)
def test_any_rows_come_back(tmp_path_factory, table):
    path = tmp_path_factory.getbasetemp() / "any"
    text = "".join(
        "\t".join([str(row[0])] + ["" if v is None else str(v) for v in row[1:3]])
        + "".join("\t" if v is None else f"\t{v:08x}" for v in row[3:])
        + "\n"
        for row in table
    )
    assert_equal(parse(text.encode(), Schema(dense=2, sparse=3), path, 1), slow_rows(text, 2))


field = st.text("0123456789aF-+xX.e \r\0\"'é\t\x0b", max_size=12)


@given(label=field | st.just("1"), dense=field | st.just("-5"), sparse=field | st.just("00ff00FF"))
@example("01", "5", "00000000")
@example("1", "0x1F", "00000000")
@example("1", " 5", "00000000")
@example("1", "5", "\0" * 8)
@example("1", "-0000000000000000000005", "00000000")
@example("1", "-2147483648", "00000000")
@example("1", "5\r", "00000000")
@example("1", "5", "00000000\r\r")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=500)
def test_exactly_the_lines_of_the_format_are_taken(tmp_path, label, dense, sparse):
    line = f"{label}\t{dense}\t{sparse}\n"
    good = re.fullmatch(r"[01]\t(-?[0-9]*)?\t([0-9a-fA-F]{8})?\r?\n", line) and dense != "-"
    good = good and (not dense or abs(int(dense)) < 2**31)
    if good:
        parse(line.encode(), ONE_OF_EACH, tmp_path, 1)
    else:
        with pytest.raises(UserError, match="line 1: "):
            parse(line.encode(), ONE_OF_EACH, tmp_path, 1)


FAULTS = {
    "label 2": (0, "2", "label is '2' but must be 0 or 1"),
    "no label": (0, "", "label is '' but must be 0 or 1"),
    "float": (1, "1.5", "I1 is '1.5' but must be an integer from -2147483647 to 2147483647, or empty"),
    "too large": (2, "2147483648", "I2 is '2147483648' but must be an integer"),
    "the marker": (2, "-2147483648", "I2 is '-2147483648' but must be an integer"),
    "hexadecimal integer": (2, "0x10", "I2 is '0x10' but must be an integer"),
    "short token": (3, "abc", "C1 is 'abc' but must be 8 hexadecimal digits, or empty"),
    "long token": (4, "0123456789", "C2 is '0123456789' but must be 8 hexadecimal digits"),
    "not hexadecimal": (5, "0123456g", "C3 is '0123456g' but must be 8 hexadecimal digits"),
    "not UTF-8": (1, "\udcff", r"I1 is '\xff' but must be an integer"),
    "very long": (1, "9" * 100, f"I1 is '{'9' * 40}…' but must be an integer"),
    "one field less": (5, None, "5 fields, but the schema has 6 (a label, 2 integers, 3 tokens, separated by tabs)"),
    "one field more": (5, "\t", "7 fields, but the schema has 6"),
}


@pytest.mark.parametrize("line", [1, 2, 90, 120])
@pytest.mark.parametrize(("column", "value", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_row_is_named(tmp_path, tiny_blocks, line, column, value, sentence):
    path = tmp_path / "log"
    lines = small_text(120).splitlines()
    fields = lines[line - 1].split("\t")
    fields[column : column + 1] = [] if value is None else [value]
    lines[line - 1] = "\t".join(fields)
    path.write_bytes("\n".join([*lines, ""]).encode(errors="surrogateescape"))
    data = small_data(tmp_path, raw=str(path), rows_per_day=60, days=2)
    told = fault_of(data, day=1 if line <= 60 else 2)
    assert told.startswith(f"{path}, line {line}: {sentence}")
    assert "mend or remove the line" in told
    assert_equal(read(data, day=2 if line <= 60 else 1), slow_rows(small_text(60, first=60 if line <= 60 else 0), 2))


def test_the_first_fault_of_a_file_is_told(tmp_path):
    (tmp_path / "day_0").write_text(small_text(5) + "2\t\t\t\t\t\n" + "1\tx\t\t\t\t\n")
    assert "line 6: label is '2'" in fault_of(small_data(tmp_path))


def test_an_empty_line_is_a_fault(tmp_path):
    (tmp_path / "day_0").write_text(small_text(5) + "\n")
    assert "line 6: 1 field, but the schema has 6" in fault_of(small_data(tmp_path))


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")])
def test_a_file_without_rows_is_named(tmp_path, content):
    (tmp_path / "day_1").write_bytes(content)
    assert fault_of(small_data(tmp_path, days=2), 2).startswith(f"The raw file {tmp_path}/day_1 has no rows; ")


def test_a_missing_file_is_named(tmp_path):
    assert fault_of(small_data(tmp_path)).startswith(f"The raw file {tmp_path}/day_0 does not exist; ")


def test_what_is_not_a_readable_file_is_named(tmp_path):
    (tmp_path / "day_0").mkdir()
    assert fault_of(small_data(tmp_path)).startswith(f"The raw file {tmp_path}/day_0 can't be read (Is a directory); ")


@pytest.mark.parametrize("damage", [lambda b: b[:-300], lambda b: b[:50_000] + b"????" + b[50_004:]])
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    path = tmp_path / "damaged.gz"
    path.write_bytes(damage(REAL.read_bytes()))
    data = real_data(raw=str(path))
    assert re.match(f"The raw file {path} is a damaged or cut-off gzip file .*'gzip -t'", fault_of(data, 6))


@pytest.mark.parametrize(
    ("rows", "remedy"),
    [
        (110, "has 110 rows, but day 4 needs rows 106-140; set data.days to 3 or lower data.rows_per_day."),
        (105, "has 105 rows, but day 4 needs rows 106-140; set data.days to 3 or lower data.rows_per_day."),
        (20, "has 20 rows, but day 1 needs rows 1-35; lower data.rows_per_day."),
    ],
)
def test_a_file_that_ends_before_its_last_day_is_named(tmp_path, rows, remedy):
    path = tmp_path / "log"
    path.write_text(small_text(rows))
    assert fault_of(small_data(tmp_path, raw=str(path), rows_per_day=35, days=4), 4) == f"{path} {remedy}"


def test_a_file_that_is_no_log_at_all_is_named(tmp_path, tiny_blocks):
    (tmp_path / "day_0").write_bytes(b"\1" * 10_000)
    assert "line 1: a line longer than" in fault_of(small_data(tmp_path))
