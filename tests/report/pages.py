"""Reading a page back: its text, tables and drawings."""

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

VOID = {"meta", "br", "wbr"}


class Page(HTMLParser):
    """A page taken apart; also checks that every element that begins ends in its place.

    Attributes
    ----------
    words : all text outside style sheets, with spaces between elements.
    sections : text of each section by its id.
    tables : every table as rows of cells.
    drawings : every SVG by its id.
    tags, attributes : of all elements, in order.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.tables: list[list[list[str]]] = []
        self.sections: dict[str, str] = {}
        self._open: list[str] = []
        self._words: list[str] = []
        self._section = ""
        self.feed(html)
        assert not self._open, f"never closed: {self._open}"
        starts = [html.index("<svg", at) for at in _positions(html, "<svg")]
        images = [ET.fromstring(html[start : html.index("</svg>", start) + len("</svg>")]) for start in starts]
        self.drawings = {image.attrib["id"]: image for image in images}
        assert len(self.drawings) == len(images), "two drawings share an id"

    @property
    def words(self) -> str:
        return " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section":
            self._section = dict(attrs)["id"]
            self.sections[self._section] = ""
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"</{tag}> ends another element"

    def handle_data(self, data):
        if "style" in self._open:
            return
        self._words.append(data)
        if "section" in self._open:
            self.sections[self._section] += data + " "
        if {"th", "td"} & set(self._open):
            self.tables[-1][-1][-1] += data


def texts(image: ET.Element) -> list[str]:
    """All visible text of a drawing, in order."""
    return ["".join(element.itertext()) for element in image.iter("text")]


def described(image: ET.Element) -> str:
    """The description of a drawing that a screen reader reads."""
    return image.findtext("desc") or ""


def having(image: ET.Element, *classes: str) -> list[ET.Element]:
    """All parts of a drawing that have every one of some classes."""
    return [part for part in image.iter() if set(classes) <= set(part.attrib.get("class", "").split())]


def _positions(text: str, part: str) -> list[int]:
    return [at for at in range(len(text)) if text.startswith(part, at)]
