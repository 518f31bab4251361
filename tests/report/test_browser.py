"""The page in a real browser: nothing sticks out, on a phone and on a wide screen."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from distdnas_hpc.report.page import write_report
from tests.report.conftest import SyntheticRun

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--allow-file-access-from-files",
)  # fmt: skip

MEASURE = """<iframe id="page" style="border:0;width:{width}px;height:900px" src="{page}"></iframe>
<script>
onload = () => {{
  const page = document.getElementById("page").contentDocument, root = page.documentElement;
  const parts = [...page.querySelectorAll("svg text, tbody *, p, h1, h2, summary, li")].filter(
    part => part.getClientRects().length);
  const left = parts.filter(part => part.getBoundingClientRect().left < -1).length;
  const right = parts.filter(part => part.getBoundingClientRect().right > root.clientWidth + 1).length;
  document.body.dataset.measured = [parts.length, root.scrollWidth - root.clientWidth, left, right].join(" ");
}};
</script>"""
"""An iframe, because a headless window is never narrower than 500 pixels."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed, so pages can't be laid out")


def measure(page: Path, width: int, folder: Path) -> tuple[int, int, int]:
    """Lay a page out `width` pixels wide; return by how many pixels it scrolls sideways, and how many of its parts
    stick out on the left and on the right.
    """
    frame = folder / f"frame_{width}.html"
    frame.write_text(MEASURE.format(width=width, page=page.as_uri()))
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [CHROMIUM, *QUIET, profile, "--window-size=1800,1000", "--dump-dom", frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'data-measured="(\d+) (\d+) (\d+) (\d+)"', done.stdout)
    assert found, f"chromium measured nothing: {done.stderr[-2000:]}"
    parts, overflow, left, right = map(int, found.groups())
    assert parts > 0
    return overflow, left, right


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize(("blocks", "days"), [(3, 4), (7, 22)])
def test_nothing_sticks_out(tmp_path, width, blocks, days):
    page = write_report(SyntheticRun(tmp_path / "quickstart", blocks=blocks, days=days).path)
    assert measure(page, width, tmp_path) == (0, 0, 0)


def test_the_measure_sees_what_sticks_out(tmp_path):
    page = tmp_path / "wide.html"
    page.write_text("<body style='margin:0'><p style='width:700px'>wide</p><p style='margin-left:-9px'>left</p>")
    assert measure(page, 400, tmp_path) == (300, 1, 1)


def test_a_long_name_does_not_stretch_the_page(tmp_path):
    page = write_report(SyntheticRun(tmp_path / ("long_" * 20), title="DistDNAS " * 12).path)
    assert measure(page, 400, tmp_path)[0] == 0
