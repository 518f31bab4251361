"""A real headless Chromium: lays pages out, tells what it sees, takes pictures of them."""

import json
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--allow-file-access-from-files", "--hide-scrollbars",
    "--disable-dev-shm-usage",
)  # fmt: skip
SCHEMES = {"dark": 0, "light": 1}
"""Numbers of Chromium's preferred colour schemes."""

FRAMES = """<!doctype html><body style="margin:0;display:flex">{frames}<script>
const seen = element => element.getClientRects().length;
const linear = value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
function luminance(colour) {{
  const [r, g, b] = colour.match(/[\\d.]+/g).map(value => linear(value / 255));
  return .2126 * r + .7152 * g + .0722 * b;
}}
function look(page) {{
  const root = page.documentElement, style = part => page.defaultView.getComputedStyle(part);
  const parts = [...page.querySelectorAll("svg text, tbody *, p, h1, h2, summary, li")].filter(seen);
  const paper = style(page.body).backgroundColor, ground = luminance(paper);
  const ink = part => luminance(style(part)[part.namespaceURI.endsWith("svg") ? "fill" : "color"]);
  const contrast = part => (Math.max(ink(part), ground) + .05) / (Math.min(ink(part), ground) + .05);
  return {{
    parts: parts.length,
    overflow: root.scrollWidth - root.clientWidth,
    left: parts.filter(part => part.getBoundingClientRect().left < -1).length,
    right: parts.filter(part => part.getBoundingClientRect().right > root.clientWidth + 1).length,
    paper: paper,
    contrast: Math.min(...parts.filter(part => part.textContent.trim()).map(contrast)),
    rows: [...(page.querySelector("table")?.rows ?? [])].map(row => [...row.cells].map(cell => cell.textContent)),
  }};
}}
onload = () => {{
  const frames = [...document.querySelectorAll("iframe")];
  document.body.dataset.seen = JSON.stringify(frames.map(frame => look(frame.contentDocument)));
}};
</script>"""
FRAME = '<iframe style="border:0;flex:none;width:{width}px;height:{height}px" src="{page}"></iframe>'
"""Iframes, because a headless window is never narrower than 500 pixels."""

HEIGHT = 2000
"""Pixels of a view, which is the upper part of a page."""


def look(
    chromium: str, views: Sequence[tuple[Path, int]], scheme: str, folder: Path, height: int = HEIGHT
) -> tuple[list[dict[str, Any]], Path]:
    """Lay pages out side by side, each at a width; return what is seen of each, and a picture of all.

    Returns
    -------
    a dict for each view, with parts (how many have text), overflow (pixels that it scrolls sideways), left and right
    (parts that stick out there), paper (the background's colour), contrast (the lowest of any text to the paper, as
    WCAG defines it, 1 to 21), rows (of the first table, as lists of cells).
    """
    folder.mkdir(exist_ok=True)
    frames = [FRAME.format(width=width, height=height, page=page.as_uri()) for page, width in views]
    page, png = folder / "views.html", folder / f"{scheme}.png"
    page.write_text(FRAMES.format(frames="".join(frames)))
    options = [
        *QUIET,
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        f"--window-size={sum(width for _, width in views)},{height}",
        "--dump-dom",
        f"--screenshot={png}",
    ]
    done = subprocess.run([chromium, *options, page.as_uri()], capture_output=True, text=True, timeout=300)
    found = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert found, f"chromium saw nothing: {done.stderr[-2000:]}"
    seen = json.loads(unescape(found[1]))
    assert all(view["parts"] > 0 for view in seen)
    return seen, png


def find_chromium() -> str | None:
    """Return the command of a Chromium that is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def picture(png: Path) -> tuple[int, int, str, int]:
    """Return a picture's width, height, the colour of its first pixel (as #rrggbb) and how many bytes it packs into."""
    content = png.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    at, packed = 8, b""
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        if content[at + 4 : at + 8] == b"IDAT":
            packed += content[at + 8 : at + 8 + length]
        at += 12 + length
    first = zlib.decompress(packed)[1:4]  # whatever the row's filter: nothing stands left of it or above it
    return width, height, f"#{first.hex()}", len(packed)
