"""Pages of runs whose search is no task a day, and of a study: what makes no sense there is left out."""

from distdnas_hpc.config import load_config
from distdnas_hpc.report.page import write_report
from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.strategies import strategy_rows
from distdnas_hpc.report.study_page import headline, write_study_report
from distdnas_hpc.report.study_summary import summaries
from distdnas_hpc.report.study_table import Row
from tests.report.conftest import synthetic_study
from tests.report.pages import Page, described, texts


def page_of(path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_one_search_over_all_days(run):
    page = page_of(write_report(run.become("one_shot").path))
    assert "One-shot DNAS" in page.words
    assert "In one task over days 1–4, the search keeps" in page.words
    assert "agreement-of-days" not in page.sections
    assert page.tables[1][:2] == [
        ["Days", "Rows", "Task time", "Supernet’s NE", "Expected MACs (M)"],
        ["1–4", "1,200", "4.0 s", "1.200 → 0.900", "1.500 → 1.210"],
    ]
    assert "Probabilities after the search of days 1–4;" in page.sections["weights"]
    assert "The search of days 1–4 in one task took 4.0 s." in page.sections["time"]
    assert "deviation between days" not in page.words


def test_the_supernet_is_not_searched(run):
    page = page_of(write_report(run.become("supernet").path))
    assert "SuperNet" in page.words
    assert "Nothing is searched: all 30 interaction modules in 3 blocks are kept." in page.words
    assert list(page.sections) == ["comparison", "training", "time", "data", "config", "again"]
    assert "Searched nothing" in page.words


def test_one_day_agrees_with_itself(run):
    page = page_of(write_report(run.become("fresh").path))
    assert "Freshness DNAS" in page.words
    assert "agreement-of-days" not in page.sections
    assert page.tables[1][1][0] == "4"


def study_page(path):
    runs = [read_results(path / "study" / name) for name in sorted(each.name for each in (path / "study").iterdir())]
    return page_of(write_study_report(path, load_config(path / "config.yaml"), runs)), runs


def test_a_study_over_its_seeds(tmp_path):
    page, runs = study_page(synthetic_study(tmp_path / "comparison"))
    (strategies, every) = page.tables
    assert [row[0] for row in strategies] == ["Network", "DistDNAS", "DLRM", "One-shot DNAS", "SuperNet"]
    assert strategies[1][1:] == ["yes", "yes", "0.900", "0.7112", "0.9100 ± 0.014", "2 of 2"]
    assert strategies[2][1:] == ["n/a", "yes", "1.200", "0.7051", "0.9600", "2 of 2"]
    assert strategies[4][1:3] == ["n/a", "yes"]
    of_runs = [results.run.name for results in (runs[0], runs[0], runs[1], runs[1], *runs[2:])]  # with DLRM or not
    assert [row[0] for row in every[1:]] == of_runs
    assert [row[1] for row in every[1:5]] == ["DistDNAS", "DLRM"] * 2
    links = [value for name, value in page.attributes if name == "href"]
    assert links == [f"{name}/report.html" for name in of_runs], "pages beside it, no network"
    assert "DistDNAS has the lowest NE on day 6: 0.9100 ± 0.014; One-shot DNAS follows with 0.9400" in page.words
    assert "more than two standard deviations between seeds behind" in page.words
    plot = page.drawings["pareto-ne"]
    assert texts(plot)[0] == "NE on day 6, ± a standard deviation between seeds"
    assert "DistDNAS: 0.9100 ± 0.014 at 0.900 M MACs" in described(plot)


def test_a_study_that_has_just_begun(tmp_path):
    path = synthetic_study(tmp_path / "comparison")
    for result in path.glob("study/*/train/*/result.yaml"):
        result.unlink()
    page, _ = study_page(path)
    assert "No network of the study is trained yet." in page.words
    assert page.tables[0][1][1:] == ["yes", "not done", "–", "–", "–", "0 of 2"]
    assert page.drawings == {}


def row(**changes) -> Row:
    known = Row("distdnas", "DistDNAS", 0.004, 1, 0.2, 1, "yes", "yes", 1_000_000, 0.9, 0.01, 0.7, "run")
    return known._replace(**changes)


def test_what_differs_in_the_study_is_named():
    titles = [
        each.title for each in summaries([row(), row(theta=0.25), row(strategy="supernet", theta=None, gamma=None)])
    ]
    assert titles == ["DistDNAS (θ=0.2)", "DistDNAS (θ=0.25)", "DistDNAS"]
    assert [each.title for each in summaries([row(), row(seed=2)])] == ["DistDNAS"]


def test_mean_and_spread_are_over_seeds():
    (told,) = summaries([row(ne=0.9), row(seed=2, ne=0.92, search="no"), row(seed=3, ne=None, search="no")])
    assert (round(told.ne.mean, 12), round(told.ne.deviation, 6), told.ne.seeds) == (0.91, 0.014142, 2)
    assert (told.converged("search"), told.converged("training")) == ("1 of 3", "yes")
    assert summaries([row()])[0].ne.deviation is None


def test_seeds_that_differ_as_much_as_strategies_are_told(run):
    config = read_results(run.path).config
    close = [
        row(ne=0.90),
        row(seed=2, ne=0.94),
        *(row(strategy="fresh", title="Fresh", seed=s, ne=0.93) for s in (1, 2)),
    ]
    assert headline(summaries(close), config).endswith("less than two standard deviations between seeds behind.")
    single = [row(), row(strategy="fresh", title="Fresh", ne=0.93)]
    assert headline(summaries(single), config).endswith("One seed each proves nothing.")
    assert headline(summaries(strategy_rows([])), config) == "No network of the study is trained yet."
