"""What prepared data holds, for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text


def data_table(content: Mapping[str, Any]) -> RenderableType:
    """Draw what `data.inspect.describe` returns: the days, the dense and the sparse columns."""
    days = _table("Day", "Rows", "Clicks", "Shards", "Size")
    for day in content["days"]:
        days.add_row(
            str(day["day"]), f"{day['rows']:,}", f"{day['click_rate']:.2%}", str(day["shards"]), decimal(day["bytes"])
        )
    dense = _table("Dense", "Missing", "Mean", "Std")
    for column in content["dense"]:
        dense.add_row(
            column["name"], f"{column['missing_share']:.1%}", *(_number(column[key]) for key in ("mean", "std"))
        )
    sparse = _table("Sparse", "Table rows", "")
    for column in content["sparse"]:
        notes = ["hashed"] if column["hashed"] else []
        notes += [f"{column['dropped']:,} values without an id"] if column.get("dropped") else []
        sparse.add_row(column["name"], f"{column['rows']:,}", ", ".join(notes))
    total = (
        f"{content['rows']:,} rows, {content['click_rate']:.2%} clicks, {content['table_rows']:,} embedding rows, "
        f"{decimal(content['bytes'])} in {content['folder']}"
    )
    return Group(Columns([days, dense, sparse], padding=(0, 3)), Text(total))


def _table(*headers: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for index, header in enumerate(headers):
        table.add_column(header, justify="right" if index and header else "left", no_wrap=True)
    return table


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
