"""What is wrong in a day's raw file is told: text, CSV, both packed, and Parquet. What only looks wrong is taken."""

import gzip
import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distdnas_hpc.config import Data
from distdnas_hpc.data.prepare import parse_day
from distdnas_hpc.data.shards import open_shard
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from tests.data.click_logs import assert_equal, joined

NAMES = {"dense": ["I1", "I2"], "sparse": ["C1", "C2"]}
SCHEMAS = {"tsv": NAMES, "csv": NAMES | {"format": "csv", "label": "label"}}
HEADER = {"tsv": "", "csv": "label,I1,I2,C1,C2\n"}
GOOD = [["0", "1", "-2", "0000000a", "00ff00ff"], ["1", "", "2147483647", "", "0000000b"]] * 4
LINE = 5
"""Where a faulty row stands, from 1."""


def log(kind: str, rows) -> bytes:
    """A log of rows of fields."""
    separator = {"tsv": "\t", "csv": ","}[kind]
    return (HEADER[kind] + "".join(separator.join(row) + "\n" for row in rows)).encode("latin-1")


def changed(place: int, *values: str) -> list[list[str]]:
    """The good rows, with values instead of one in a row."""
    rows = [list(row) for row in GOOD]
    rows[LINE - 1][place : place + 1] = values
    return rows


@pytest.fixture(params=["tsv", "csv"])
def kind(request) -> str:
    return request.param


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def packed(request) -> bool:
    return request.param


@pytest.fixture
def day(tmp_path, kind, packed):
    """What prepares a day from the content of its file."""

    def prepare(content: bytes, on_bad_row: str = "fail"):
        (tmp_path / "day_0").write_bytes(gzip.compress(content) if packed else content)
        tree = {"schema": SCHEMAS[kind], "raw": f"{tmp_path}/day_{{day}}", "days": 1, "on_bad_row": on_bad_row}
        data = Data.model_validate(tree)
        told = parse_day(data, 1, tmp_path / "parsed", tmp_path / "prepared", Progress(None))
        parts = []
        for path in sorted((tmp_path / "prepared/day_01").glob("*.h5")):
            with open_shard(path) as shard:
                parts.append(shard.read(0, shard.rows))
        return told, joined(parts)

    return prepare


FAULTS = {
    "too few fields": (changed(4), r"4 fields, but the (schema|header) has 5"),
    "too many fields": (changed(4, "0000000b", ""), r"6 fields, but the (schema|header) has 5"),
    "one field": ([*GOOD[: LINE - 1], ["x"], *GOOD[LINE:]], r"1 field, but the (schema|header) has 5"),
    "no integer": (changed(1, "one"), "I1 is 'one' but must be an integer from -2147483647 to 2147483647, or empty"),
    "a decimal point": (changed(1, "1.0"), "I1 is '1.0' but must be an integer"),
    "a plus": (changed(1, "+1"), r"I1 is '\+1' but must be an integer"),
    "a space": (changed(2, "1 "), "I2 is '1 ' but must be an integer"),
    "an integer beyond 32 bits": (changed(2, "2147483648"), "I2 is '2147483648' but must be an integer"),
    "a negative one": (changed(2, "-2147483648"), "I2 is '-2147483648' but must be an integer"),
    "one beyond 64 bits": (changed(2, "18446744073709551617"), "I2 is '18446744073709551617' but must be an integer"),
    "NUL in an integer": (changed(2, "1\0"), r"I2 is '1\\x00' but must be an integer"),
    "NUL in a token": (changed(3, "0000000\0"), r"C1 is '0000000\\x00' but must be (8 hexadecimal|a text without NUL)"),
    "NULs only": ([*GOOD[: LINE - 1], ["\0" * 20], *GOOD[LINE:]], r"1 field, but the (schema|header) has 5"),
    "label 2": (changed(0, "2"), "label is '2' but must be 0 or 1"),
    "no label": (changed(0, ""), "label is '' but must be 0 or 1"),
    "label 01": (changed(0, "01"), "label is '01' but must be 0 or 1"),
    "not UTF-8": (changed(1, "\xff"), "I1 is '.{1,4}' but must be an integer"),
}


@pytest.mark.parametrize(("rows", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_row_is_named_or_left_out(day, tmp_path, kind, rows, sentence):
    where = {"tsv": "line", "csv": "row"}[kind]
    with pytest.raises(UserError) as caught:
        day(log(kind, rows))
    assert re.match(rf"{tmp_path}/day_0, {where} {LINE}: {sentence}.*; mend or remove the {where}", str(caught.value))
    assert not list(tmp_path.rglob("*.h5")), "nothing is left of the day"

    told, found = day(log(kind, rows), on_bad_row="skip")
    assert (told["rows"], told["rejected"]) == (len(GOOD) - 1, 1)
    table = (tmp_path / "parsed/rejected.tsv").read_text().splitlines()
    assert table[0] == "file\tline\treason\ttext"
    path, line, reason, text = table[1].split("\t", 3)
    assert (path, line) == (f"{tmp_path}/day_0", str(LINE))
    assert re.match(sentence, reason)
    assert text.replace("\t", ",")[:2] == ",".join(rows[LINE - 1])[:2].replace("\0", r"\x00")[:2]
    _, expected = day(log(kind, [*GOOD[: LINE - 1], *GOOD[LINE:]]))
    assert_equal(found, expected)


HEX = {"short": "abc", "long": "000000000a", "no hexadecimal digit": "0000000g", "with a sign": "-000000a"}


@pytest.mark.parametrize("token", HEX.values(), ids=HEX)
def test_a_token_is_eight_hexadecimal_digits_in_text_and_any_text_in_csv(day, kind, token):
    content = log(kind, changed(3, token))
    if kind == "tsv":
        with pytest.raises(UserError, match=f"line {LINE}: C1 is '{token}' but must be 8 hexadecimal digits, or empty"):
            day(content)
        assert day(content, on_bad_row="skip")[0]["rejected"] == 1
    else:
        _, found = day(content)
        assert found.sparse[0].tolist() == [1, 0, 1, 0, 2, 0, 1, 0]


def test_upper_case_is_the_same_number_in_text_and_another_text_in_csv(day, kind):
    _, found = day(log(kind, changed(3, "0000000A")))
    assert found.sparse[0, LINE - 1] == {"tsv": 1, "csv": 2}[kind]


LEGAL: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda content: content.replace(b"\n", b"\r\n"),
    "no newline at the end": lambda content: content[:-1],
    "CRLF but for the end": lambda content: content.replace(b"\n", b"\r\n")[:-2],
    "CRLF here and there": lambda content: content.replace(b"\n", b"\r\n", LINE),
}


@pytest.mark.parametrize("change", LEGAL.values(), ids=LEGAL)
def test_line_ends_of_any_kind_are_fine(day, kind, change):
    told, found = day(change(log(kind, GOOD)))
    assert (told["rows"], told["rejected"]) == (len(GOOD), 0)
    assert found.dense[1, 0] == -2, "negative integers are integers"
    assert_equal(found, day(log(kind, GOOD))[1])


@pytest.mark.parametrize("on_bad_row", ["fail", "skip"])
@pytest.mark.parametrize("content", ["", "\n", "header"])
def test_a_file_without_rows_is_named(day, tmp_path, kind, content, on_bad_row):
    if (kind, content) == ("tsv", "header"):
        content = "label\tI1\tI2\tC1\tC2\n"
    content = content.replace("header", HEADER[kind])
    with pytest.raises(UserError, match=f"{tmp_path}/day_0") as caught:
        day(content.encode(), on_bad_row)
    assert re.search("empty|no rows|1 field,|label is 'label'", str(caught.value))
    assert not list(tmp_path.rglob("*.h5"))


PACKED = {
    "cut": lambda b: b[:-20],
    "cut in the checksum": lambda b: b[:-5],
    "cut in the header": lambda b: b[:7],
    "flipped bytes": lambda b: b[: len(b) // 2] + bytes(x ^ 0x55 for x in b[len(b) // 2 :][:4]) + b[len(b) // 2 + 4 :],
    "another checksum": lambda b: b[:-8] + b"\0\0\0\0" + b[-4:],
    "something behind it": lambda b: b + b"0\t1\n",
}


@pytest.mark.parametrize("on_bad_row", ["fail", "skip"])
@pytest.mark.parametrize("damage", PACKED.values(), ids=PACKED)
def test_a_damaged_gzip_file_is_named(tmp_path, kind, damage, on_bad_row):
    raw = tmp_path / "day_0"
    raw.write_bytes(damage(gzip.compress(log(kind, GOOD * 500), mtime=0)))
    data = Data.model_validate(
        {"schema": SCHEMAS[kind], "raw": f"{tmp_path}/day_{{day}}", "days": 1, "on_bad_row": on_bad_row}
    )
    with pytest.raises(UserError, match=rf"The raw file {raw} is a damaged or cut-off gzip file \(.*\); copy it again"):
        parse_day(data, 1, tmp_path / "parsed", tmp_path / "prepared", Progress(None))
    assert not list(tmp_path.rglob("*.h5"))


PARQUET = {
    "no label": ("label", None, "label is '' but must be 0 or 1"),
    "label 2": ("label", 2, "label is '2' but must be 0 or 1"),
    "half a label": ("label", 0.5, r"label is '0\.5' but must be 0 or 1"),
    "a fraction": ("I1", 1.5, r"I1 is '1\.5' but must be an integer"),
    "beyond 32 bits": ("I2", 2**31, "I2 is '2147483648' but must be an integer"),
    "beyond 64 bits": ("I2", 2.0**70, "I2 is '1180591620717411303424' but must be an integer"),
    "NUL": ("C1", "a\0", r"C1 is 'a\\x00' but must be a text without NUL bytes"),
}


def parquet_data(folder, on_bad_row: str = "fail") -> Data:
    schema = SCHEMAS["csv"] | {"format": "parquet"}
    tree = {"schema": schema, "raw": f"{folder}/day_{{day}}", "days": 1, "on_bad_row": on_bad_row}
    return Data.model_validate(tree)


@pytest.mark.parametrize(("column", "value", "sentence"), PARQUET.values(), ids=PARQUET)
def test_a_faulty_row_of_parquet_is_named_or_left_out(tmp_path, column, value, sentence):
    columns = {name: [1, 0, 1, 0] for name in ("label", "I1", "I2")} | {
        name: ["a", "b", "c", ""] for name in ("C1", "C2")
    }
    columns[column][2] = value
    pq.write_table(pa.table(columns), tmp_path / "day_0")
    with pytest.raises(UserError, match=rf"day_0, row 3: {sentence}"):
        parse_day(parquet_data(tmp_path), 1, tmp_path / "parsed", tmp_path / "prepared", Progress(None))
    told = parse_day(parquet_data(tmp_path, "skip"), 1, tmp_path / "parsed", tmp_path / "prepared", Progress(None))
    assert (told["rows"], told["rejected"]) == (3, 1)


@pytest.mark.parametrize("length", [0, 3, 0.5, -1])
def test_a_parquet_file_that_is_cut_off_is_named(tmp_path, length):
    columns = {name: [1, 0] * 500 for name in ("label", "I1", "I2", "C1", "C2")}
    pq.write_table(pa.table(columns), tmp_path / "day_0")
    whole = (tmp_path / "day_0").read_bytes()
    (tmp_path / "day_0").write_bytes(whole[: int(length * len(whole)) if length == 0.5 else length])
    with pytest.raises(UserError, match=r"The raw file .*day_0 (can't be read as parquet|is empty)"):
        parse_day(parquet_data(tmp_path), 1, tmp_path / "parsed", tmp_path / "prepared", Progress(None))


def test_a_parquet_file_with_another_checksum_is_named(tmp_path):
    columns = {name: [1, 0] * 500 for name in ("label", "I1", "I2", "C1")} | {"C2": [f"word {i}" for i in range(1000)]}
    path = tmp_path / "day_0"
    pq.write_table(pa.table(columns), path, compression="none", write_page_checksum=True)
    path.write_bytes(path.read_bytes().replace(b"word 500", b"ward 500"))
    with pytest.raises(UserError, match=r"day_0 can't be read \(.*CRC checksum.*\); mend that"):
        parse_day(parquet_data(tmp_path), 1, tmp_path / "parsed", tmp_path / "prepared", Progress(None))


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path, kind):
    (tmp_path / "day_0").mkdir()
    data = Data.model_validate({"schema": SCHEMAS[kind], "raw": f"{tmp_path}/day_{{day}}", "days": 1})
    with pytest.raises(UserError, match=rf"The raw file {tmp_path}/day_0 can't be read \(Is a directory\); mend that"):
        parse_day(data, 1, tmp_path / "parsed", tmp_path / "prepared", Progress(None))
