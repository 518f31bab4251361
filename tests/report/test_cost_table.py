"""What modules cost, for the terminal and for scripts."""

import dataclasses
import io

import pytest
from rich.console import Console

from distdnas_hpc.report.cost_table import cost_rows, cost_table, write_cost_figure
from distdnas_hpc.report.parts import Cost
from distdnas_hpc.report.results import read_cost


@pytest.fixture
def cost(run) -> Cost:
    return read_cost(run.path / "cost/all")


def one_block(cost: Cost) -> Cost:
    return dataclasses.replace(cost, dense=cost.dense[:1], sparse=cost.sparse[:1])


def printed(cost: Cost) -> list[list[str]]:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(cost_table(cost))
    return [line.split() for line in console.export_text().splitlines()]


def test_rows_have_every_module_of_both_sides_in_block_1_and_later(cost):
    rows = cost_rows(cost)
    assert [row["side"] for row in rows] == ["dense"] * 5 + ["sparse"] * 5
    assert rows[2] == {"side": "dense", "module": "dot_product", "block_1": 1.0, "later": 0.5}
    assert rows[9] == {"side": "sparse", "module": "pma", "block_1": 0.12, "later": 0.11}


def test_the_table_prints_them_with_r2(cost):
    lines = printed(cost)
    assert lines[0] == ["Module", "Block", "1", "Blocks", "2–3"]
    assert ["dense", "identity", "0.050", "0.000"] in lines
    assert ["transformer", "0.330", "0.210"] in lines
    assert " ".join(lines[-1]) == "Cost importance s of 5,000 sampled architectures; held-out R² 0.987"


def test_one_block_has_no_later_ones(cost):
    assert {row["later"] for row in cost_rows(one_block(cost))} == {None}
    lines = printed(one_block(cost))
    assert lines[0] == ["Module", "Block", "1"]
    assert ["dense", "identity", "0.050"] in lines


def test_the_figure_is_a_file_of_its_own(cost, tmp_path):
    path = write_cost_figure(cost, tmp_path)
    assert path == tmp_path / "importance.svg"
    assert path.read_text().startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "3-block supernet" in path.read_text()
