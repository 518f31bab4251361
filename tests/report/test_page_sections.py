"""Sections that say in words what the figures beside them show."""

import shutil

from distdnas_hpc.report.agreement import Agreement, DayAgreement
from distdnas_hpc.report.expense import Expense
from distdnas_hpc.report.page import write_report
from distdnas_hpc.report.page_agreement import in_words as agreement_in_words
from distdnas_hpc.report.page_agreement import without
from distdnas_hpc.report.page_time import in_words as expense_in_words
from distdnas_hpc.storage import read_yaml, write_yaml
from tests.report.pages import Page, described, having

SAME = DayAgreement(1, 0.95, (), ())
ODD = DayAgreement(2, 0.41, ("block 1 pin",), ("block 2 linear", "block 2 pma"))


def test_agreement_in_words():
    assert agreement_in_words(Agreement(0.2, (SAME,), 1.0)) == (
        "Day 1 is least like the mean (ρ 0.95). Leaving out any single day keeps the same modules at θ=0.2."
    )
    assert agreement_in_words(Agreement(0.25, (SAME, ODD), 0.85)) == (
        "Day 2 is least like the mean (ρ 0.41). For 85% of the modules, being kept at θ=0.25 or not hangs on no single "
        "day; leaving out day 2 would change the kept set, day 2 most (3 modules)."
    )
    assert without(ODD) == "+ block 1 pin, − block 2 linear, − block 2 pma"
    assert without(SAME) == "the same set"


def test_expense_in_words():
    """The paper's numbers: 22 days of 2 hours, all at once."""
    told = expense_in_words(Expense(22, 44.0, 2.0, 2.2, 60.0, 22, 2e6))
    assert "One task over all 22 days would have searched for 44 h 0 min" in told
    assert "the search took 2 h 12 min, 22 at most at a time: 20.0 times as fast." in told
    assert "2 h 0 min: 22.0 times as fast (the paper: 2 hours instead of 50)" in told
    assert "60.0 device-hours" in told
    assert expense_in_words(Expense(1, 2.0, 2.0, 2.0, 3.0, 1, 1.0)).startswith("The search of one day took 2 h 0 min.")


def test_the_page_shows_how_the_days_agree(run):
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    assert "Day 4 is least like the mean (ρ 0.95)." in page.sections["agreement-of-days"]
    image = page.drawings["agreement"]
    assert len(having(image, "point")) == 4
    assert "day 3 1.000; day 4 0.950" in described(image)


def test_one_day_is_nothing_to_compare(run):
    for day in (2, 3, 4):
        shutil.rmtree(run.path / f"search/day_{day:02d}")
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    assert "No agreement" in page.sections["agreement-of-days"]


def test_the_time_table_adds_up_the_tasks_of_a_stage(run):
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    stages = next(table for table in page.tables if table[0][0] == "Stage")
    assert ["search", "4", "16 s", "16 s", "4.0 s"] in stages
    tasks = next(table for table in page.tables if table[0][0] == "Task")
    assert tasks[3] == ["search/day_01", "node1", "1 March 2026, 12:00 UTC", "4.0 s"]
    assert "One task over all 4 days would have searched for 16 s" in page.sections["time"]


def test_the_way_to_run_it_again_names_this_run(run):
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    assert f"distdnas run {run.path}/config.yaml --run" in page.sections["again"]


def test_the_table_of_days_tells_what_each_supernet_learned(run):
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    days = next(table for table in page.tables if table[0][:2] == ["Day", "Rows"] and len(table[0]) == 5)
    assert [row[:1] + row[3:4] for row in days] == [
        ["Day", "Supernet’s NE"], *([str(day), "1.200 → 0.900"] for day in (1, 2, 3, 4))
    ]  # fmt: skip
    assert "The network that was trained reaches 0.909 on day 6." in page.sections["search"]
    assert "weights mean little" not in page.sections["search"]


def test_a_day_whose_supernet_learned_nothing_is_named(run):
    path = run.path / "search/day_03/result.yaml"
    write_yaml(path, {**read_yaml(path), "ne": [1.1, 1.0, 1.0, 0.996]})
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    assert page.sections["search"].count("weights mean little") == 1
    assert "Day 3: The supernet ends at NE 0.996" in page.sections["search"]


def test_a_trained_network_without_ne_is_not_told_beside_it(run):
    """As after a test day of one class."""
    run.write_ne("distdnas_t0.2_m1", None)
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    assert page.sections["search"].count("Weights mean something as far as it falls below 1.") == 1
    assert "network that was trained reaches" not in page.sections["search"]


def test_runs_from_before_it_was_written_show_none(run):
    for path in run.path.glob("search/*/result.yaml"):
        write_yaml(path, {key: value for key, value in read_yaml(path).items() if key != "ne"})
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    days = next(table for table in page.tables if table[0][:2] == ["Day", "Rows"] and len(table[0]) == 5)
    assert [row[3] for row in days[1:]] == ["–"] * 4
