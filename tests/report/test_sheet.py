"""Several drawings on one sheet, none above another."""

import re
import xml.etree.ElementTree as ET

import pytest

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.sheet import sheet, size, write_figure
from distdnas_hpc.report.svg import drawing, text
from tests.report.pages import described


def box(name: str, width: float, height: float):
    return drawing(name, f"the {name}", "a box", width, height, text(0, 9, name))


def test_rows_lie_below_each_other_and_the_sheet_holds_them():
    image = sheet("both", "Two rows", [[box("a", 100, 40), box("b", 50, 60)], [box("c", 30, 20)]])
    places = [tuple(map(float, at)) for at in re.findall(r"translate\((\S+) (\S+)\)", image)]
    assert places == [(12, 12), (12 + 100 + 28, 12), (12, 12 + 60 + 28)]
    assert size(image) == (12 + 100 + 28 + 50 + 12, 12 + 60 + 28 + 20 + 12)
    assert described(ET.fromstring(image)) == "the a; the b; the c."


def test_a_faulty_name_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match=r"\.svg, \.png or \.pdf"):
        write_figure(box("a", 1, 1), tmp_path / "a.gif")
    with pytest.raises(UserError, match="does not exist"):
        write_figure(box("a", 1, 1), tmp_path / "no/a.svg")
    assert list(tmp_path.iterdir()) == []
