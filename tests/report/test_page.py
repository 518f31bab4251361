"""The page as a reader and a screen reader get it: whole, escaped, alone, honest about what is missing."""

import shutil

import pytest

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.page import write_report
from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.table import HEADERS, caveat, comparison_cells
from distdnas_hpc.storage import read_yaml, write_yaml
from tests.report.conftest import SyntheticRun
from tests.report.pages import Page, described

HOSTILE = "<script>alert('x')</script> & \"quoted\""


def page_of(run: SyntheticRun) -> Page:
    return Page(write_report(run.path).read_text(encoding="utf-8"))


def test_the_report_lies_in_the_run_folder_and_nothing_beside_it(run):
    before = set(run.path.iterdir())
    assert write_report(run.path) == run.path / "report.html"
    assert set(run.path.iterdir()) - before == {run.path / "report.html"}


def test_the_same_run_gives_the_same_page(run):
    assert write_report(run.path).read_bytes() == write_report(run.path).read_bytes()


def test_the_header_tells_the_run(run):
    words = page_of(run).words
    for fact in ("quickstart", run.config.fingerprint(), "1 March 2026, 12:00 UTC", "days 1–4", "days 1–5", "day 6"):
        assert fact in words
    assert "Seed 7" in words


def test_the_first_table_is_the_comparison(run):
    page, results = page_of(run), read_results(run.path)
    assert page.tables[0] == [list(HEADERS), *map(list, comparison_cells(results))]
    assert caveat(results) in page.sections["comparison"]


def test_the_data_table_counts_rows_and_clicks(run):
    page = page_of(run)
    data = next(table for table in page.tables if "Clicks" in table[0])
    assert data[1] == ["1", "1,200", "300", "25.00%", "search, training"]
    assert data[5] == ["5", "1,200", "300", "25.00%", "training"]
    assert data[6] == ["6", "1,200", "258", "21.50%", "test"]
    assert "embedding tables have 35,100 rows in all" in page.sections["data"]


def test_every_figure_is_there_and_described(run):
    drawings = page_of(run).drawings
    small = {f"trajectory-{side}-{block}" for side in ("alpha", "beta") for block in (1, 2, 3)}
    assert set(drawings) == small | {
        "architecture", "weights-alpha", "weights-beta", "cost-dense", "cost-sparse", "expected-macs",
        "training-loss", "pareto-auc", "timeline", "agreement",
    }  # fmt: skip
    for name, image in drawings.items():
        assert image.attrib["role"] == "img"
        assert image.attrib["aria-labelledby"] == f"{name}-title {name}-desc"
        assert image.find("title").attrib["id"] == f"{name}-title"
        assert len(described(image)) > 20


def test_the_page_needs_nothing_but_itself(run):
    html = write_report(run.path).read_text(encoding="utf-8")
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not {"src", "href", "srcset", "onload", "onclick"} & {name for name, _ in page.attributes}
    assert "http" not in html
    assert "url(" not in html
    assert "@import" not in html


def test_it_speaks_to_browsers_in_both_schemes_and_on_paper(run):
    html = write_report(run.path).read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in html
    assert 'content="width=device-width, initial-scale=1"' in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_text_from_files_is_never_markup(tmp_path):
    run = SyntheticRun(tmp_path / "a <b>bold & name", title=HOSTILE)
    write_yaml(run.path / "environment.yaml", {"host": HOSTILE})
    result = run.path / "cost" / "all" / "result.yaml"
    content = read_yaml(result)
    content["task"]["host"] = HOSTILE
    write_yaml(result, content)
    page = page_of(run)
    assert not {"script", "b"} & set(page.tags)
    assert page.tables[0][1][0] == HOSTILE
    assert HOSTILE in described(page.drawings["training-loss"])
    assert HOSTILE in described(page.drawings["pareto-auc"])
    assert any(HOSTILE in (title.text or "") for title in page.drawings["timeline"].iter("title"))
    assert "a <b>bold & name" in page.words
    assert "host: <script>" in page.sections["config"]


def test_a_day_that_failed_is_named_and_the_rest_is_shown(run):
    shutil.rmtree(run.path / "search" / "day_03")
    aggregate = run.path / "aggregate" / "all" / "aggregate.yaml"
    write_yaml(aggregate, {**read_yaml(aggregate), "days": [1, 2, 4]})
    page = page_of(run)
    assert "Not searched: day 3." in page.sections["search"]
    assert "The mean is over days 1–2 and 4 only; without day 3." in page.sections["weights"]
    assert "Averaged over days 1–2 and 4, the search keeps" in page.words
    assert [row[0] for row in page.tables[1]] == ["Day", "1", "2", "4"]
    assert "of the 3 days" in described(page.drawings["trajectory-alpha-1"])


def test_a_model_that_failed_is_named_and_the_rest_is_shown(run):
    shutil.rmtree(run.path / "train" / "dlrm")
    page = page_of(run)
    assert "Not trained: dlrm." in page.sections["comparison"]
    assert page.tables[0][1][-1] == "n/a"
    assert len(page.tables[0]) == 2


def test_a_model_that_diverged_is_named_with_its_reason(run):
    result = run.path / "train/dlrm/result.yaml"
    write_yaml(result, read_yaml(result) | {"state": "diverged", "reason": "LogLoss diverged at step 7 (day 1)"})
    page = page_of(run)
    assert "DLRM diverged: LogLoss diverged at step 7 (day 1)" in page.sections["comparison"]
    assert ["DLRM", "n/a", "n/a", "n/a", "diverged", "n/a", "n/a", "n/a"] in page.tables[0]


@pytest.mark.parametrize(
    ("folder", "section", "sentence"),
    [
        ("aggregate", "architecture-found", "No architecture"),
        ("aggregate", "weights", "No mean weights"),
        ("cost", "cost", "No cost importance"),
        ("prepared", "data", "No prepared data"),
        ("train", "training", "No model was trained"),
    ],
)
def test_an_absent_part_is_said_to_be_absent(run, folder, section, sentence):
    shutil.rmtree(run.path / folder)
    assert sentence in page_of(run).sections[section]


def test_without_training_curves_the_scores_are_shown(run):
    for path in run.path.glob("train/*/trajectory.parquet"):
        path.unlink()
    page = page_of(run)
    assert "No training curve" in page.sections["training"]
    assert "pareto-auc" in page.drawings


def test_a_run_that_has_just_begun_has_a_page_too(run):
    for path in run.path.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    page = page_of(run)
    assert "no architecture yet" in page.words
    assert "Not searched: days 1–4." in page.sections["search"]
    assert "Not trained: distdnas_t0.2_m1, dlrm." in page.sections["comparison"]
    assert page.drawings == {}


def test_a_damaged_run_leaves_the_earlier_page_as_it_was(run):
    before = write_report(run.path).read_bytes()
    (run.path / "cost" / "all" / "result.yaml").write_text("dense: [")
    with pytest.raises(UserError, match=r"cost/all/result\.yaml"):
        write_report(run.path)
    assert (run.path / "report.html").read_bytes() == before
    assert list(run.path.glob(".*")) == []


def test_the_report_of_a_run_of_the_paper_s_size_is_small_enough_to_mail(tmp_path):
    page = write_report(SyntheticRun(tmp_path / "terabyte", blocks=7, days=22).path)
    assert page.stat().st_size < 2_000_000
    assert len(Page(page.read_text(encoding="utf-8")).drawings) == 2 * 7 + 10
