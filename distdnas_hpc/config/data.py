"""Where the raw days are, what their columns mean, and how they become shards."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from distdnas_hpc.config.section import Section


def _numbered(letter: str) -> BeforeValidator:
    """Read a number of columns as that many names, as Criteo does (I1, I2 and so on)."""

    def read(value: Any) -> Any:
        if type(value) is int and value > 0:
            return tuple(f"{letter}{i + 1}" for i in range(value))
        if not isinstance(value, list | tuple):
            raise ValueError(f"give a list of column names or the number of columns (1 or more), not {value!r}")
        return value

    return BeforeValidator(read)


class Schema(Section):
    """Columns of a click log.

    `tsv` is Criteo's format: no header, separated by tabs, in the order label, dense, sparse; categorical values are 8
    hexadecimal digits. In `csv` (with a header) and `parquet`, columns are found by name, others are ignored, and
    categorical values are any text or integers.
    """

    format: Literal["tsv", "csv", "parquet"] = "tsv"
    separator: str | None = Field(None, min_length=1, max_length=1, description="csv: between fields; default: comma")
    label: str | None = Field(None, description="csv and parquet: name of the column with 0 or 1 (a click)")
    dense_names: Annotated[tuple[str, ...], _numbered("I")] = Field(
        alias="dense", min_length=1, description="integer columns: their names, or how many (I1, I2, …)"
    )
    sparse_names: Annotated[tuple[str, ...], _numbered("C")] = Field(
        alias="sparse", min_length=1, description="categorical columns: their names, or how many (C1, C2, …)"
    )
    missing: str = Field("", description="csv and parquet: text that means 'no value', beside the empty one")

    @model_validator(mode="after")
    def _keys_fit_the_format(self) -> "Schema":
        if self.format == "tsv":
            for key in ("separator", "label", "missing"):
                if getattr(self, key):
                    raise ValueError(f"'{key}' is for format csv or parquet; remove it, or set 'format'")
        elif self.label is None:
            raise ValueError(f"format {self.format} needs 'label', the name of the column with 0 or 1")
        if self.format == "parquet" and self.separator:
            raise ValueError("'separator' is for format csv; remove it")
        names = [*([self.label] if self.label else []), *self.dense_names, *self.sparse_names]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the column '{name}' is named twice among 'label', 'dense' and 'sparse'")
        return self

    @property
    def dense(self) -> int:
        """Number of dense columns."""
        return len(self.dense_names)

    @property
    def sparse(self) -> int:
        """Number of categorical columns."""
        return len(self.sparse_names)


SCHEMAS = {"criteo": Schema.model_validate({"dense": 13, "sparse": 26})}


def _named_schema(value: Any) -> Any:
    if isinstance(value, str):
        if value not in SCHEMAS:
            raise ValueError(f"no schema is called '{value}'; known: {', '.join(SCHEMAS)}")
        return SCHEMAS[value]
    return value


class DayColumn(Section):
    """The column that names the day of each row: equal values are one day, and sorted they are days 1 to the last."""

    column: str
    characters: int | None = Field(
        None, ge=1, description="first characters of the value that name the day; default: all"
    )


class Data(Section):
    """Where the raw days are and how they become shards."""

    schema_: Annotated[Schema, BeforeValidator(_named_schema)] = Field(alias="schema")
    raw: str = Field(description="raw file, text also gzipped; '{day}' in it is replaced by the day's number")
    days: int = Field(ge=1, description="number of days in all")
    first_file: int = Field(0, ge=0, description="number in the name of day 1's file (Criteo Terabyte: 0)")
    rows_per_day: int | None = Field(None, ge=1, description="cut one raw file in order into days of so many rows")
    day: DayColumn | None = Field(None, description="the column that names each row's day, in one raw file")
    max_rows: int = Field(5_000_000, ge=2, description="cap on the rows of one embedding table, id 0 included")
    overflow: Literal["hash", "frequent"] = Field(
        "hash", description="a column with more values than the cap: hash them into it, or keep the most frequent ones"
    )
    min_count: int = Field(1, ge=1, description="values seen less often in the training days get id 0, as unseen ones")
    shard_rows: int = Field(8_388_608, ge=1, description="rows of one HDF5 shard")
    on_bad_row: Literal["fail", "skip"] = Field(
        "fail", description="at a faulty row: stop, or leave it out and list it in rejected.tsv"
    )

    @model_validator(mode="after")
    def _one_way_to_find_days(self) -> "Data":
        if ("{day}" in self.raw) + (self.rows_per_day is not None) + (self.day is not None) != 1:
            raise ValueError(
                "give either 'raw' with {day} in it (a file a day), 'rows_per_day' (one file cut in order) or 'day' "
                "(one file with a column that names the day)"
            )
        if self.first_file and "{day}" not in self.raw:
            raise ValueError("'first_file' is for 'raw' with {day} in it; remove it")
        if self.day is not None and self.schema_.format == "tsv":
            raise ValueError("'day' needs columns with names: set schema.format to csv or parquet, or use rows_per_day")
        return self

    @property
    def counted(self) -> bool:
        """Whether ids depend on how often a value is seen."""
        return self.overflow == "frequent" or self.min_count > 1

    def raw_file(self, day: int) -> Path:
        """Path of the raw file that holds `day` (1-based)."""
        return Path(self.raw.replace("{day}", str(day - 1 + self.first_file)))
