"""Markup: whatever text goes in comes out as that text, never as markup."""

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from distdnas_hpc.report.markup import Markup, join, tag

PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="￾￿"))


@given(PRINTABLE, PRINTABLE)
def test_text_and_attributes_come_back_as_they_were(text, value):
    element = ET.fromstring(tag("p", text, title=value))
    assert (element.text or "", element.attrib["title"]) == (text, value)
    assert len(element) == 0


def test_markup_is_nested_and_text_beside_it_escaped():
    assert tag("p", "a < b", tag("b", "c & d"), None) == "<p>a &lt; b<b>c &amp; d</b></p>"
    assert join("<", Markup("<br>")) == "&lt;<br>"


def test_attribute_names_and_numbers():
    assert tag("g", class_="a", stroke_width=1.5, x=2.0, y=0.3333, n=10, gone=None) == (
        '<g class="a" stroke-width="1.5" x="2" y="0.33" n="10"></g>'
    )


def test_void_elements_have_no_end():
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
