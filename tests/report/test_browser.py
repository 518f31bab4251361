"""The page in a real browser: whole and legible on a phone and on a wide screen, in light and in dark."""

import pytest

from distdnas_hpc.config import load_config
from distdnas_hpc.report.page import write_report
from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.study_page import write_study_report
from distdnas_hpc.report.table import HEADERS, comparison_cells
from tests.debian import require
from tests.report.browser import HEIGHT, find_chromium, look, picture
from tests.report.conftest import SyntheticRun, synthetic_study

PAPER = {"light": ("rgb(253, 252, 250)", "#fdfcfa"), "dark": ("rgb(22, 24, 28)", "#16181c")}
LEGIBLE = 4.5
"""The contrast that WCAG 2.2 asks of text (AA)."""


@pytest.fixture(scope="module")
def chromium() -> str:
    """Find or install the browser."""
    require(["chromium"], there=find_chromium)
    return find_chromium()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_report(SyntheticRun(tmp_path_factory.mktemp("small") / "quickstart").path)


@pytest.fixture(scope="module", params=["light", "dark"])
def looked(request, chromium, report, tmp_path_factory):
    """A scheme, what is seen of the page in it at 400 and 1600 pixels, and the picture."""
    views = [(report, 400), (report, 1600)]
    return request.param, *look(chromium, views, request.param, tmp_path_factory.mktemp("chromium"))


def test_the_table_is_read_as_it_was_written(looked, report):
    _, seen, _ = looked
    for view in seen:
        assert view["rows"] == [list(HEADERS), *map(list, comparison_cells(read_results(report.parent)))]


def test_nothing_sticks_out(looked):
    _, seen, _ = looked
    assert [(view["overflow"], view["left"], view["right"]) for view in seen] == [(0, 0, 0)] * 2


def test_all_text_is_legible(looked):
    scheme, seen, _ = looked
    for view in seen:
        assert view["paper"] == PAPER[scheme][0]
        assert view["contrast"] >= LEGIBLE


def test_the_picture_shows_a_page_of_the_scheme(looked):
    scheme, _, png = looked
    *size, corner, packed = picture(png)
    assert size == [2000, HEIGHT]
    assert corner == PAPER[scheme][1]
    assert packed > 50_000  # an empty page of this size packs into fewer than 10,000 bytes


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_other_strategies_and_of_a_study(scheme, chromium, tmp_path):
    study = synthetic_study(tmp_path / "study_quickstart")
    runs = [read_results(path.parent) for path in sorted((study / "study").glob("*/config.yaml"))]
    page = write_study_report(study, load_config(study / "config.yaml"), runs)
    pages = [page, *((study / "study" / name / "report.html") for name in ("one_shot_g0.004_s1", "supernet_s1"))]
    seen, _ = look(chromium, [(page, width) for page in pages for width in (400, 1600)], scheme, tmp_path / "chromium")
    assert [(view["overflow"], view["left"], view["right"]) for view in seen] == [(0, 0, 0)] * 6
    assert min(view["contrast"] for view in seen) >= LEGIBLE
    assert seen[0]["rows"] == seen[1]["rows"]
    assert [row[0] for row in seen[0]["rows"]] == ["Network", "DistDNAS", "DLRM", "One-shot DNAS", "SuperNet"]


def test_extremes(chromium, tmp_path):
    """A page of the paper's size stays in place, a long name stretches none; and the browser sees what does not."""
    faulty = tmp_path / "faulty.html"
    faulty.write_text(
        "<body style='margin:0;background:#fff'><p style='width:700px'>wide</p>"
        "<p style='margin-left:-9px;color:#777'>left, faint</p>"
    )
    terabyte = write_report(SyntheticRun(tmp_path / "terabyte", blocks=7, days=22).path)
    long_name = write_report(SyntheticRun(tmp_path / ("long_" * 20), title="DistDNAS " * 12).path)
    views = [(terabyte, 400), (terabyte, 1600), (long_name, 400), (faulty, 400)]
    *good, stretched, bad = look(chromium, views, "light", tmp_path / "chromium")[0]
    assert [(view["overflow"], view["left"], view["right"]) for view in good] == [(0, 0, 0)] * 2
    assert stretched["overflow"] == 0
    assert (bad["overflow"], bad["left"], bad["right"]) == (300, 1, 1)
    assert bad["contrast"] == pytest.approx(4.48, abs=0.01)  # of this grey on white: just not enough
