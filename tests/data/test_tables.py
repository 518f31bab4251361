"""CSV and Parquet logs against the csv module, on real rows; the three ways to name days; faults."""

import csv
import gzip
import io
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdnas_hpc.config import Data
from distdnas_hpc.data import tables
from distdnas_hpc.data.rows import MISSING, NO_TOKEN, Columns
from distdnas_hpc.data.source import read_all_days, read_day
from distdnas_hpc.errors import UserError
from tests.data.click_logs import assert_equal, joined

AVAZU = Path(__file__).with_name("avazu_400.csv")
SCHEMA = {"format": "csv", "label": "click", "dense": ["C15", "C20"], "sparse": ["site_id", "device_ip", "C14"]}
MASK = 2**64 - 1


def avazu(**changes) -> Data:
    return Data.model_validate({"schema": SCHEMA, "raw": str(AVAZU), "days": 1, "rows_per_day": 400} | changes)


def slow_token(text: str) -> int:
    """FNV-1a, MurmurHash3's fmix64, 63 bits."""
    if text == "":
        return NO_TOKEN
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = (h ^ h >> 33) * factor & MASK
    return (h ^ h >> 33) >> 1


def slow_rows(data: Data, text: str) -> Columns:
    """Read a CSV value by value."""
    schema = data.schema_
    rows = [
        {key: "" if value == schema.missing else value for key, value in row.items()}
        for row in csv.DictReader(io.StringIO(text), delimiter=schema.separator or ",")
    ]
    return Columns(
        np.array([int(row[schema.label]) for row in rows], np.uint8),
        np.array([[int(row[name] or MISSING) for name in schema.dense_names] for row in rows], np.int32).T,
        np.array([[slow_token(row[name]) for name in schema.sparse_names] for row in rows], np.int64).T,
    )


def read(data: Data, day: int = 1) -> Columns:
    return joined(block.rows for block in read_day(data, day))


def with_days(text: str) -> tuple[str, dict[str, str]]:
    """Spread Avazu's rows, all of one hour, over three days in turns; returns also the text of each day."""
    header, *lines = text.splitlines(keepends=True)
    days = defaultdict(lambda: header)
    whole = header
    for i, line in enumerate(lines):
        day = f"1410{21 + 9 * (i % 3)}"  # 141021, 141030, 141039
        whole += line.replace(",14102100,", f",{day}{i % 24:02d},")
        days[day] += line
    return whole, days


def test_a_token_is_the_published_hash_of_the_text():
    # A change would silently break every trained model.
    assert [slow_token(text) for text in ("a", "15704")] == [0x415154AC54DF672D, 0x2F3252A0A7773921]
    assert read(avazu()).sparse[:, 0].tolist() == [slow_token(text) for text in ("1fbe01fe", "96809ac8", "15704")]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("separator", [None, ";", "\t"])
def test_rows_are_those_of_the_csv_module(tmp_path, monkeypatch, packed, separator):
    monkeypatch.setattr(tables, "BLOCK_BYTES", 20_000)  # several blocks
    text = AVAZU.read_text().replace(",", separator or ",")
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    data = avazu(raw=str(path), schema=SCHEMA | {"separator": separator})
    assert_equal(read(data), slow_rows(data, text))
    assert len(list(read_day(data, 1))) > 1


def test_the_missing_marker_stands_for_no_value():
    data = avazu(schema=SCHEMA | {"missing": "-1"})
    expected = slow_rows(data, AVAZU.read_text())
    assert (expected.dense[1] == MISSING).sum() > 50
    assert_equal(read(data), expected)
    assert (read(avazu()).dense[1] == -1).any(), "and a plain number otherwise"


def parquet(path: Path, table: pa.Table) -> Data:
    pq.write_table(table, path, row_group_size=150)
    return avazu(schema=SCHEMA | {"format": "parquet"}, raw=str(path))


def typed(**kinds: pa.DataType) -> pa.Table:
    """Avazu's rows with columns of these types, text otherwise."""
    rows = list(csv.DictReader(AVAZU.open()))
    columns = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
    return pa.table({name: column.cast(kinds.get(name, pa.string())) for name, column in columns.items()})


@pytest.mark.parametrize(
    "kinds",
    [
        {},
        {"click": pa.int8(), "C15": pa.int32(), "C20": pa.int64(), "C14": pa.uint16()},
        {"click": pa.bool_(), "C15": pa.uint16(), "C20": pa.float64(), "C14": pa.float32()},
        {"click": pa.float64(), "site_id": pa.dictionary(pa.int8(), pa.string()), "device_ip": pa.large_string()},
    ],
    ids=["text", "integers", "as pandas stores them", "categories"],
)
def test_parquet_of_any_types_gives_the_rows_of_the_csv(tmp_path, kinds):
    assert_equal(read(parquet(tmp_path / "log", typed(**kinds))), read(avazu()))


def test_nulls_of_parquet_are_missing(tmp_path):
    table = typed(C20=pa.float64(), C14=pa.int32())
    hole = [None, *[True] * 399]
    for name in ("C20", "C14", "site_id"):
        values = pa.array([value if keep else None for value, keep in zip(table[name].to_pylist(), hole, strict=True)])
        table = table.set_column(table.schema.get_field_index(name), name, values)
    found = read(parquet(tmp_path / "log", table))
    expected = read(avazu())
    expected.dense[1, 0], expected.sparse[0, 0], expected.sparse[2, 0] = MISSING, NO_TOKEN, NO_TOKEN
    assert_equal(found, expected)


def test_a_file_is_cut_in_order_into_days(monkeypatch):
    monkeypatch.setattr(tables, "BLOCK_BYTES", 10_000)
    data = avazu(days=3, rows_per_day=130)
    whole = read(avazu())
    for day in (1, 2, 3):
        part = slice((day - 1) * 130, day * 130)
        assert_equal(read(data, day), Columns(*(values[..., part] for values in whole)))
    assert_equal(joined(block.rows for block in read_all_days(data)), whole.part(0, 390))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_names_the_days(tmp_path, kind):
    text, days = with_days(AVAZU.read_text())
    path = tmp_path / "log"
    path.write_text(text)
    if kind == "parquet":
        import pyarrow.csv

        pq.write_table(pyarrow.csv.read_csv(path), path, row_group_size=100)
    column = {"column": "hour", "characters": 6}
    data = avazu(raw=str(path), days=3, rows_per_day=None, day=column, schema=SCHEMA | {"format": kind})
    for number, day in enumerate(sorted(days), start=1):
        assert_equal(read(data, number), slow_rows(data, days[day]))
    with pytest.raises(
        UserError, match=r"The column hour of .*log names 3 days \(141021, 141030, 141039\), but data.day"
    ):
        read(data.model_copy(update={"days": 4}))
    path.write_text(text.replace("141039", "141040").replace("141030", "141021"))
    if kind == "csv":
        with pytest.raises(UserError, match="names 2 days"):  # not what the file said before
            read(data)


def fault(data: Data, day: int = 1) -> str:
    with pytest.raises(UserError) as caught:
        list(read_day(data, day))
    return str(caught.value).replace(str(Path(data.raw).parent) + "/", "")


GOOD = "0,320,5,a,b,c\n"
HEADER = "click,C15,C20,site_id,device_ip,C14\n"


def small(folder: Path, text: str | bytes, **changes) -> Data:
    path = folder / "log"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Data.model_validate({"schema": SCHEMA, "raw": str(path), "rows_per_day": 4, "days": 1} | changes)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "2,320,5,a,b,c\n",
            "log, row 3: click is '2' but must be 0 or 1; mend or remove the row, or correct data.schema.",
        ),
        (",320,5,a,b,c\n", "log, row 3: click is '' but must be 0 or 1"),
        ("0,3.5,5,a,b,c\n", "log, row 3: C15 is '3.5' but must be an integer from -2147483647 to 2147483647, or empty"),
        ("0,2147483648,5,a,b,c\n", "log, row 3: C15 is '2147483648' but must be an integer"),
        ("0,-2147483648,5,a,b,c\n", "log, row 3: C15 is '-2147483648' but must be an integer"),
        ("0,9999999999999999999999,5,a,b,c\n", "log, row 3: C15 is '9999999999999999999999' but must be"),
        ("0,1, 5,a,b,c\n", "log, row 3: C20 is ' 5' but must be an integer"),
        ("0,1,5,a,b\n", "log, row 3: 5 fields, but the header has 6; mend"),
        ("0,1,5,a,b,c,d\n", "log, row 3: 7 fields, but the header has 6; mend"),
    ],
)
def test_a_faulty_row_is_named_or_left_out(tmp_path, line, sentence):
    data = small(tmp_path, HEADER + GOOD * 2 + line + GOOD)
    assert fault(data).startswith(sentence)
    blocks = list(read_day(data.model_copy(update={"on_bad_row": "skip"}), 1))
    rejected = [row for block in blocks for row in block.rejected]
    assert [(row.line, row.text) for row in rejected] == [(3, line.strip("\n"))]
    assert fault(data).startswith(f"log, row 3: {rejected[0].reason};")
    assert sum(len(block.rows.label) for block in blocks) == 3


def test_whole_floats_are_the_integers_that_they_stand_for_however_large(tmp_path):
    integers = [0, -1, 2**53, 2**63 - 2**10, 2**63, 2**63 + 2**11, 2**64, -(2**63), -(2**64), 10**30 // 2**60 * 2**60]
    texts = [*map(str, integers), "0.5", "inf", "1e+300"]
    values = [*map(float, integers), 0.5, float("inf"), 1e300]
    texts[-1] = str(int(1e300))
    n = len(values)
    good = {"click": ["1"] * n, "C15": ["1"] * n, "C20": ["1"] * n, "device_ip": ["b"] * n, "C14": ["c"] * n}
    schema = SCHEMA | {"format": "parquet"}
    pq.write_table(pa.table(good | {"site_id": values}), tmp_path / "floats")
    found = read(avazu(schema=schema, raw=str(tmp_path / "floats"), rows_per_day=n))
    assert found.sparse[0].tolist() == [slow_token(text) for text in texts]
    pq.write_table(pa.table(good | {"C15": [2.0**63, *[1.0] * (n - 1)], "site_id": values}), tmp_path / "dense")
    with pytest.raises(UserError, match="row 1: C15 is '9223372036854775808' but must be an integer from"):
        read(avazu(schema=schema, raw=str(tmp_path / "dense"), rows_per_day=n))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["good", "short", "label"]), min_size=1, max_size=40), st.integers(60, 200))
def test_rejected_rows_have_their_numbers_whatever_the_blocks(tmp_path_factory, kinds, block_bytes):
    lines = {"good": GOOD, "short": "0,1\n", "label": "7,320,5,a,b,c\n"}
    text = HEADER + "".join(lines[kind] for kind in kinds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "BLOCK_BYTES", block_bytes)
        data = small(tmp_path_factory.mktemp("log"), text, rows_per_day=len(kinds), on_bad_row="skip")
        if "good" not in kinds:
            assert "no row without a fault" in fault(data)
            return
        blocks = list(read_day(data, 1))
    numbers = [row.line for block in blocks for row in block.rejected]
    assert numbers == [i for i, kind in enumerate(kinds, start=1) if kind != "good"]
    assert sum(len(block.rows.label) for block in blocks) == kinds.count("good")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The raw file log is empty; put a file with rows there or correct data.raw."),
        (HEADER, "The raw file log has no rows; put a file with rows there or correct data.raw."),
        (HEADER.replace("C20", "C21") + GOOD, "log lacks a column that data.schema or data.day names (Column 'C20'"),
        (HEADER + GOOD * 3, "log has 3 rows, but the days need 4; lower data.days or data.rows_per_day."),
        (gzip.compress((HEADER + GOOD * 9).encode(), mtime=0)[:-9], "The raw file log is a damaged or cut-off gzip"),
        (
            HEADER + GOOD + '0,1,5,"' + "a" * (9 << 20),
            "The raw file log can't be read as csv (a row is longer than 4 MiB",
        ),
    ],
)
def test_a_faulty_file_is_named(tmp_path, text, sentence):
    assert fault(small(tmp_path, text)).startswith(sentence)


def test_a_row_longer_than_a_block_is_named(tmp_path):
    told = fault(small(tmp_path, HEADER + GOOD + '0,1,5,"' + "a" * (9 << 20)))
    assert told.startswith("The raw file log can't be read as csv (a row is longer than 4 MiB, as after a quote")


def test_a_missing_file_or_a_folder_is_named(tmp_path):
    data = small(tmp_path, HEADER + GOOD)
    (tmp_path / "log").unlink()
    assert fault(data).startswith("The raw file log does not exist")
    (tmp_path / "log").mkdir()
    assert fault(data).startswith("The raw file log can't be read (Is a directory)")


def test_text_is_no_parquet(tmp_path):
    data = small(tmp_path, HEADER + GOOD, schema=SCHEMA | {"format": "parquet"})
    assert fault(data).startswith("The raw file log can't be read as parquet (")


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ({}, "log lacks a column that data.schema or data.day names (Column 'C14' does not exist in Parquet file)"),
        ({"C14": [[1]]}, "The raw file log can't be read as parquet ("),
    ],
)
def test_columns_of_parquet_that_are_lacking_or_no_values_are_told(tmp_path, column, sentence):
    good = {"click": [1], "C15": [1], "C20": [1], "site_id": ["a"], "device_ip": ["b"]}
    assert fault(parquet(tmp_path / "log", pa.table(good | column))).startswith(sentence)


def test_the_number_of_days_is_checked_when_all_of_a_file_is_read(tmp_path):
    data = small(tmp_path, HEADER + GOOD, rows_per_day=None, day={"column": "C20"}, days=2)
    blocks = read_all_days(data)
    assert len(next(blocks).rows.label) == 1
    with pytest.raises(UserError, match=r"names 1 days \(5\), but data.days is 2; set data.days to 1"):
        next(blocks)


def test_a_day_without_a_name_is_refused(tmp_path):
    data = small(tmp_path, HEADER + GOOD + "0,1,,a,b,c\n", rows_per_day=None, day={"column": "C20"})
    assert fault(data).endswith("has a row without a value in the column C20, which names its day; remove it.")
