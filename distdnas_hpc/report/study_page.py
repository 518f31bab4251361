"""The report of a study on one page: what each strategy of search found over seeds, and published models beside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import yaml

from distdnas_hpc.config import Config
from distdnas_hpc.report.elements import absent, document, figure, section, table
from distdnas_hpc.report.markup import Markup, join, tag
from distdnas_hpc.report.pareto import Point, pareto
from distdnas_hpc.report.results import Results
from distdnas_hpc.report.strategies import strategy_rows
from distdnas_hpc.report.study_summary import Spread, Summary, summaries
from distdnas_hpc.report.study_table import Row
from distdnas_hpc.report.table import significant
from distdnas_hpc.report.timeline import duration
from distdnas_hpc.report.words import days_in_words
from distdnas_hpc.storage import write_text

HEADERS = ("Network", "Search converged?", "Training converged?", "MACs (M)", "AUC", "NE", "Seeds")


def write_study_report(folder: Path, config: Config, runs: Sequence[Results]) -> Path:
    """Write RUN/study/report.html from what the study's runs hold, and return its path.

    Parameters
    ----------
    folder, config : of the study's own run.
    runs : of the study, in the order of its table.
    """
    path = folder / "study" / "report.html"
    write_text(path, render(folder.absolute().name, config, runs))
    return path


def render(name: str, config: Config, runs: Sequence[Results]) -> str:
    """Return the page as HTML."""
    rows = strategy_rows(runs, published=True)
    found = summaries(rows)
    return document(
        f"{name} · study",
        "DistDNAS study",
        name,
        headline(found, config),
        {
            "Runs": f"{len(runs)}",
            "Seeds": ", ".join(map(str, dict.fromkeys(row.seed for row in rows))) or "none yet",
            "Searched": days_in_words(config.search.days),
            "Trained on": days_in_words(config.train.days),
            "Tested on": f"day {config.train.test_day}",
        },
        section("strategies", "Strategies", _strategies(found, config)),
        section("runs", "Every run", _runs(rows, runs)),
        section("config", "Config", _config(config)),
        section("again", "How to run it again", _again(config)),
    )


def headline(found: Sequence[Summary], config: Config) -> str:
    """Say which network has the lowest mean NE, and whether that is more than seeds differ."""
    tested = [(each, each.ne) for each in found if each.ne is not None]
    if not tested:
        return "No network of the study is trained yet."
    tested.sort(key=lambda pair: pair[1].mean)
    best, ne = tested[0]
    told = f"{best.title} has the lowest NE on day {config.train.test_day}: {_written(ne)}"
    if len(tested) == 1:
        return f"{told}."
    second, other = tested[1]
    if ne.deviation is None or other.deviation is None:
        return f"{told}; {second.title} follows with {_written(other)}. One seed each proves nothing."
    spread = max(ne.deviation, other.deviation)
    apart = "less" if other.mean - ne.mean < 2 * spread else "more"
    return (
        f"{told}; {second.title} follows with {_written(other)}, {apart} than two standard deviations between "
        "seeds behind."
    )


def _strategies(found: Sequence[Summary], config: Config) -> Markup:
    if not found:
        return absent("No run of the study was begun.")
    rows = [
        (
            each.title,
            each.converged("search"),
            each.converged("training"),
            _written(each.macs, 1e-6),
            _written(each.auc),
            _written(each.ne),
            f"{each.ne.seeds if each.ne else 0} of {len(each.rows)}",
        )
        for each in found
    ]
    points = [_point(each) for each in found]
    known = [point for point in points if point is not None]
    plot = (
        figure(
            pareto(known, "ne", f"day {config.train.test_day}", bars="± a standard deviation between seeds"),
            "Down and to the left is better. The line is the Pareto frontier; the bars are the standard deviation "
            "between seeds.",
        )
        if known
        else None
    )
    words = tag(
        "div",
        tag(
            "p",
            "Mean over seeds ± their standard deviation. MACs are multiply-accumulates a sample. NE is the LogLoss "
            "divided by the entropy of the test day’s click rate, so 1 is what the rate alone achieves; lower is "
            "better. Two networks differ only if they lie further apart than seeds do.",
            class_="note",
        ),
        tag(
            "p",
            "A search converged if none of its tasks diverged and each ended with NE < 1 on its own days; a training, "
            "if its loss did not diverge and its NE on the test day is below 1.",
            class_="note",
        ),
    )
    return join(table(HEADERS, rows, "stack"), tag("div", plot, words, class_="grid"))


def _runs(rows: Sequence[Row], runs: Sequence[Results]) -> Markup:
    """Return a row a run and network, with links to the runs' own pages beside this one."""
    hours = {str(results.run): _task_time(results) for results in runs}
    reports = {str(results.run) for results in runs if (results.run / "report.html").is_file()}
    cells = [
        (
            tag("a", Path(row.run).name, href=f"{Path(row.run).name}/report.html")
            if row.run in reports
            else Path(row.run).name,
            row.title,
            "–" if row.theta is None else f"{row.theta:g}",
            f"{row.copies}",
            row.search,
            row.training,
            "–" if row.macs is None else f"{row.macs / 1e6:,.3f}",
            "–" if row.auc is None else f"{row.auc:.4f}",
            "–" if row.ne is None else f"{row.ne:.4f} ± {row.ne_standard_error or 0.0:.4f}",
            hours[row.run],
        )
        for row in rows
    ]
    headers = ("Run", "Network", "θ", "M", "Search", "Training", "MACs (M)", "AUC", "NE ± SE", "Run’s task time")
    return join(
        table(headers, cells, "stack"),
        tag(
            "p",
            "SE is the standard error for the draw of the test rows, which are the same for all. Task time is that of "
            "search and training together.",
            class_="note",
        ),
    )


def _task_time(results: Results) -> str:
    return duration(sum(task.seconds for task in results.tasks if task.stage in ("search", "train")))


def _config(config: Config) -> Markup:
    text = yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)
    return tag("details", tag("summary", "Every setting, defaults included"), tag("pre", text))


def _again(config: Config) -> Markup:
    commands = (
        f"distdnas study {config.run / 'config.yaml'} --run runs/again   # all of it, in another folder\n"
        f"distdnas status {config.run}   # the tasks of this study\n"
        f"python tools/table2.py {config.run}   # every run, laid out like the paper’s Table II"
    )
    return tag("pre", commands)


def _point(each: Summary) -> Point | None:
    if each.ne is None or each.macs is None:
        return None
    kind: Literal["found", "baseline"] = "found" if each.strategy == "distdnas" else "baseline"
    return Point(each.title, each.macs.mean / 1e6, each.ne.mean, each.ne.deviation or 0.0, kind)


def _written(spread: Spread | None, unit: float = 1.0) -> str:
    if spread is None:
        return "–"
    digits = 3 if unit != 1 else 4
    deviation = spread.deviation * unit if spread.deviation else None
    return f"{spread.mean * unit:,.{digits}f}" + (f" ± {significant(deviation)}" if deviation else "")
