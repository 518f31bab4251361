"""Days out of text: against a slow reader on real rows, cut anywhere, with the sentence for every fault."""

import gzip

import numpy as np
import pytest

from distdnas_hpc.data import tsv
from distdnas_hpc.data.rows import MISSING, NO_TOKEN, Columns
from distdnas_hpc.data.tsv import read_all_days, read_day
from distdnas_hpc.errors import UserError
from tests.data.click_logs import (
    assert_equal,
    joined,
    real_data,
    slow_real_day,
    slow_rows,
    small_data,
    small_line,
    small_text,
)


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


def test_a_block_may_end_anywhere_in_a_line(tmp_path, monkeypatch):
    text = small_text(12)
    (tmp_path / "day_0").write_text(text)
    for block_bytes in range(max(map(len, text.splitlines())) + 1, len(text) + 2):
        monkeypatch.setattr(tsv, "BLOCK_BYTES", block_bytes)
        assert_equal(read(small_data(tmp_path)), slow_rows(text, 2))


@pytest.mark.parametrize("day", [1, 2, 3])
def test_cuts_between_days_fall_anywhere_in_blocks(tmp_path, tiny_blocks, day):
    (tmp_path / "log").write_text(small_text(110))
    data = small_data(tmp_path, raw=str(tmp_path / "log"), rows_per_day=35, days=3)
    assert_equal(read(data, day), slow_rows(small_text(35, first=35 * (day - 1)), 2))


@pytest.mark.parametrize("change", [lambda t: t.replace("\n", "\r\n"), lambda t: t[:-1], lambda t: t[:-1] + "\r\n"])
def test_windows_line_ends_and_a_missing_last_newline_are_fine(tmp_path, change):
    (tmp_path / "day_0").write_bytes(change(small_text(10)).encode())
    assert_equal(read(small_data(tmp_path)), slow_rows(small_text(10), 2))


def test_missing_is_not_zero_and_extremes_fit(tmp_path):
    (tmp_path / "day_0").write_text("1\t\t0\t\t00000000\tffffffff\n0\t2147483647\t-2147483647\tFFFFFFFF\taBcDeF01\t\n")
    rows = read(small_data(tmp_path))
    assert rows.dense.T.tolist() == [[MISSING, 0], [2**31 - 1, 1 - 2**31]]
    assert rows.sparse.T.tolist() == [[NO_TOKEN, 0, 2**32 - 1], [2**32 - 1, 0xABCDEF01, NO_TOKEN]]


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


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])
def test_a_file_without_rows_is_named(tmp_path, content):
    (tmp_path / "day_1").write_bytes(content)
    assert fault_of(small_data(tmp_path, days=2), 2).startswith(f"The raw file {tmp_path}/day_1 has no rows; ")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "day_1").mkdir()
    (tmp_path / "day_2").write_bytes(gzip.compress(small_text(10).encode())[:-9])
    data = small_data(tmp_path, days=3)
    assert fault_of(data, 1).startswith(f"The raw file {tmp_path}/day_0 does not exist; ")
    assert fault_of(data, 2).startswith(f"The raw file {tmp_path}/day_1 can't be read (Is a directory); ")
    assert fault_of(data, 3).startswith(f"The raw file {tmp_path}/day_2 is a damaged or cut-off gzip file (")


def with_faults(rows: int, faulty: dict[int, str]) -> str:
    """A small log where lines (by number, from 1) have other texts."""
    lines = small_text(rows).splitlines()
    for number, text in faulty.items():
        lines[number - 1] = text
    return "".join(f"{line}\n" for line in lines)


FAULTY = {1: "label", 2: "", 40: "2\t1\t1\t\t\t", 41: "1\t1\t1\t\t\tx\r", 120: "1\t\0"}
REASONS = {
    1: "1 field, but the schema has 6 (a label, 2 integers, 3 tokens, separated by tabs)",
    2: "1 field, but the schema has 6 (a label, 2 integers, 3 tokens, separated by tabs)",
    40: "label is '2' but must be 0 or 1",
    41: "C3 is 'x' but must be 8 hexadecimal digits, or empty",
    120: "2 fields, but the schema has 6 (a label, 2 integers, 3 tokens, separated by tabs)",
}


def good_part(first: int, last: int) -> Columns:
    """Rows of the small log with those numbers (from 1), but for the faulty ones."""
    return slow_rows("".join(small_line(i - 1) for i in range(first, last + 1) if i not in FAULTY), 2)


@pytest.mark.parametrize("block_bytes", [100, 300, 1 << 20])
def test_faulty_rows_are_left_out_and_told(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(tsv, "BLOCK_BYTES", block_bytes)
    (tmp_path / "day_0").write_text(with_faults(120, FAULTY))
    blocks = list(read_day(small_data(tmp_path, on_bad_row="skip"), 1))
    assert_equal(joined(block.rows for block in blocks), good_part(1, 120))
    rejected = [row for block in blocks for row in block.rejected]
    assert [(row.line, row.text) for row in rejected] == list(FAULTY.items())
    assert {row.line: row.reason for row in rejected} == REASONS
    assert sum(block.text_bytes for block in blocks) == (tmp_path / "day_0").stat().st_size


@pytest.mark.parametrize(("day", "first", "last"), [(1, 1, 40), (2, 41, 80), (3, 81, 120)])
def test_left_out_rows_do_not_move_the_cuts_between_days(tmp_path, tiny_blocks, day, first, last):
    (tmp_path / "log").write_text(with_faults(120, FAULTY))
    data = small_data(tmp_path, raw=str(tmp_path / "log"), rows_per_day=40, days=3, on_bad_row="skip")
    blocks = list(read_day(data, day))
    assert_equal(joined(block.rows for block in blocks), good_part(first, last))
    assert [row.line for block in blocks for row in block.rejected] == [i for i in FAULTY if first <= i <= last]


def test_without_faults_nothing_is_left_out(tmp_path):
    (tmp_path / "day_0").write_text(small_text(120))
    for choice in ("skip", "fail"):
        data = small_data(tmp_path, on_bad_row=choice)
        assert_equal(read(data), slow_rows(small_text(120), 2))
        assert [block.rejected for block in read_day(data, 1)] == [()]


def test_a_rejected_text_is_readable_and_not_endless(tmp_path):
    (tmp_path / "day_0").write_bytes(small_text(1).encode() + b"\xff\xc3\xa9\n" + b"y" * 100_000 + b"\n")
    (block,) = read_day(small_data(tmp_path, on_bad_row="skip"), 1)
    assert block.rejected[0].text == "\\xffé"
    assert block.rejected[1].text == "y" * 4096


def test_a_file_with_faulty_rows_only_is_refused(tmp_path):
    (tmp_path / "day_0").write_text("one,two\n" * 1000)
    assert fault_of(small_data(tmp_path, on_bad_row="skip")) == (
        f"{tmp_path}/day_0, lines 1-1000: not one is without fault (the last one: 1 field, but the schema has 6 "
        "(a label, 2 integers, 3 tokens, separated by tabs)); correct data.raw or data.schema."
    )


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
