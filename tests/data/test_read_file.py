"""Another file in a log's format, as a model is asked about it: labels may be missing."""

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from distdnas_hpc.config import Data
from distdnas_hpc.data.source import read_file
from distdnas_hpc.errors import UserError

TABLE = pa.table({"click": [1, 0, 1], "width": [3, None, -2], "site": ["a", "b", "a"]})


def data(format: str) -> Data:
    columns = (
        {"dense": 1, "sparse": 1} if format == "tsv" else {"label": "click", "dense": ["width"], "sparse": ["site"]}
    )
    return Data.model_validate(
        {"schema": {"format": format, **columns}, "raw": "day_{day}", "days": 2, "on_bad_row": "skip"}
    )


def write(path, format: str, table: pa.Table) -> None:
    if format == "parquet":
        pq.write_table(table, path)
    else:
        pa_csv.write_csv(table, path)


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_named_columns_with_and_without_label(tmp_path, format):
    write(tmp_path / "with", format, TABLE)
    write(tmp_path / "without", format, TABLE.drop_columns(["click"]))
    (labelled,), (bare,) = (list(read_file(data(format), tmp_path / name)) for name in ("with", "without"))
    assert labelled.rows.label.tolist() == [1, 0, 1]
    assert bare.rows.label.tolist() == [0, 0, 0]
    assert np.array_equal(labelled.rows.dense, bare.rows.dense)
    assert np.array_equal(labelled.rows.sparse, bare.rows.sparse)


def test_text_with_and_without_label(tmp_path):
    lines = [b"-5\t0000000a\n", b"\t\n", b"17\tdeadbeef"]
    (tmp_path / "without").write_bytes(b"".join(lines))
    (tmp_path / "with").write_bytes(b"".join(b"1\t" + line for line in lines))
    (labelled,), (bare,) = (list(read_file(data("tsv"), tmp_path / name)) for name in ("with", "without"))
    assert (labelled.rows.label.tolist(), bare.rows.label.tolist()) == ([1, 1, 1], [0, 0, 0])
    assert bare.rows.dense[0].tolist() == [-5, -(2**31), 17]
    assert bare.rows.sparse[0].tolist() == [10, -1, 0xDEADBEEF]
    assert np.array_equal(labelled.rows.dense, bare.rows.dense)
    assert np.array_equal(labelled.rows.sparse, bare.rows.sparse)


@pytest.mark.parametrize("lines", [[b"1\t2\tdeadbeef", b"1\t2\tno"], [b"2\tdeadbeef", b"2\tno"]])
def test_a_faulty_row_is_refused_even_where_training_skipped_them(tmp_path, lines):
    (tmp_path / "rows").write_bytes(b"\n".join(lines))
    with pytest.raises(UserError, match="rows, line 2: "):
        list(read_file(data("tsv"), tmp_path / "rows"))


@pytest.mark.parametrize("format", ["tsv", "csv", "parquet"])
def test_a_missing_or_empty_file_is_told(tmp_path, format):
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(UserError, match="missing does not exist"):
        list(read_file(data(format), tmp_path / "missing"))
    with pytest.raises(UserError, match=r"empty (is empty|has no rows)"):
        list(read_file(data(format), tmp_path / "empty"))


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_a_feature_that_is_missing_is_told(tmp_path, format):
    write(tmp_path / "rows", format, TABLE.drop_columns(["click", "site"]))
    with pytest.raises(UserError, match="lacks a column"):
        list(read_file(data(format), tmp_path / "rows"))
