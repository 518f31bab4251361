"""The report of a run: one HTML file that needs nothing else, no network and no script."""

from pathlib import Path

import yaml

from distdnas_hpc.report import figures
from distdnas_hpc.report.agreement import agreement
from distdnas_hpc.report.elements import absent, document, figure, legend, section, table
from distdnas_hpc.report.headline import headline
from distdnas_hpc.report.markup import Markup, join, tag
from distdnas_hpc.report.page_agreement import agreement_section
from distdnas_hpc.report.page_search import architecture_section, cost_section, search_section, weights_section
from distdnas_hpc.report.page_time import time_section
from distdnas_hpc.report.pareto import pareto, points_of
from distdnas_hpc.report.recurring import has_baseline, next_days, read_next_days
from distdnas_hpc.report.results import Results, read_results
from distdnas_hpc.report.table import HEADERS, caveat, comparison_cells, comparison_markdown
from distdnas_hpc.report.timeline import duration, moment
from distdnas_hpc.report.words import days_in_words
from distdnas_hpc.storage import write_text
from distdnas_hpc.train.candidates import TITLES


def write_report(run: Path) -> Path:
    """Write RUN/report.html from what the run folder holds, and return its path.

    Parts of the run that are not there are said to be missing.

    Raises
    ------
    UserError : `run` is not a run folder, or a file in it is damaged.
    """
    path = run / "report.html"
    write_text(path, render(read_results(run)))
    return path


def render(results: Results) -> str:
    """Return the page as HTML."""
    name = results.run.absolute().name
    finished = max((task.finished for task in results.tasks), default=None)
    return document(
        f"{name} · DistDNAS",
        "DistDNAS run",
        name,
        headline(results),
        {
            "Finished": moment(finished) if finished else "nothing yet",
            "Config": results.config.fingerprint(),
            "Seed": str(results.config.seed),
            "Strategy": TITLES[results.config.strategy],
            "Searched": _searched(results),
            "Trained on": days_in_words(results.config.train.days),
            "Tested on": f"day {results.config.train.test_day}",
        },
        section("comparison", "Comparison", _comparison(results)),
        *_search(results),
        section("training", "Training", _training(results)),
        section("recurring", "Recurring training", _recurring(results)) if results.config.train.recurring else None,
        section("time", "Time and cost", time_section(results)),
        section("data", "Data", _data(results)),
        section("config", "Config", _config(results)),
        section("again", "How to run it again", _again(results)),
    )


def _searched(results: Results) -> str:
    if results.config.strategy == "supernet":
        return "nothing"
    return f"{results.whole.what} in one task" if results.whole else days_in_words(tuple(results.days)) or "no day yet"


def _search(results: Results) -> list[Markup]:
    """Return the sections on the search that the run's strategy has."""
    config = results.config
    if config.strategy == "supernet":
        return []
    day_by_day = config.strategy != "one_shot" and len(config.search.days) > 1
    agree = [section("agreement-of-days", "Do the days agree?", agreement_section(agreement(results)))]
    return [
        section("architecture-found", "The architecture", architecture_section(results)),
        section("weights", "Architecture weights", weights_section(results)),
        *(agree if day_by_day else []),
        section("search", "The search, day by day" if day_by_day else "The search", search_section(results)),
        section("cost", "Cost importance", cost_section(results)),
    ]


def _comparison(results: Results) -> Markup:
    missing = ", ".join(results.missing_models)
    note = join(
        absent(f"Not trained: {missing}. No result of it was found in this run.") if missing else None,
        *(absent(f"{title} diverged: {reason}") for title, reason in results.diverged.items()),
    )
    if not results.models and not results.diverged:
        return join(note)
    points = points_of(results, "auc")
    plot = (
        figure(
            pareto(points, "auc", f"day {results.config.train.test_day}"),
            "Up and to the left is better. The line is the Pareto frontier; the bars are 95% intervals for the draw of "
            "the test rows, which are the same for all models.",
        )
        if points
        else None
    )
    words = tag(
        "div",
        tag("p", caveat(results), class_="caveat"),
        tag(
            "p",
            "MACs are multiply-accumulates a sample (FLOPs in the paper’s tables). NE is the LogLoss divided by the "
            "entropy of the test day’s click rate, so 1 is what the rate alone achieves; lower is better.",
            class_="note",
        ),
        tag("details", tag("summary", "The table as Markdown"), tag("pre", comparison_markdown(results))),
    )
    return join(note, table(HEADERS, comparison_cells(results), "stack"), tag("div", plot, words, class_="grid"))


def _training(results: Results) -> Markup:
    if not results.models:
        return absent("No model was trained in this run.")
    rows = [
        (
            model.title,
            f"{model.rows:,}",
            duration(model.train_seconds),
            f"{model.rows_per_second:,.0f}",
            f"{model.calibration:.3f}",
        )
        for model in results.models
    ]
    losses = (
        figure(
            join(legend([model.title for model in results.models], "model"), figures.training_curves(results.models)),
            "Mean loss over stretches of steps; every batch is scored before the model learns from it, and seen once.",
        )
        if any(model.curve is not None for model in results.models)
        else absent("No training curve was found in this run.")
    )
    return join(
        losses,
        table(("Model", "Rows", "Training time", "Rows/s", "Calibration"), rows, "stack"),
        tag("p", "Calibration: predicted clicks ÷ clicks on the test day.", class_="note"),
    )


def _recurring(results: Results) -> Markup:
    models = read_next_days(results.run, results.config)
    if not models:
        return absent("No model of train.recurring is finished in this run.")
    drawn = [next_days(models, "auc"), *([next_days(models, "ne")] if has_baseline(models) else [])]
    return join(
        tag("div", *(figure(each, "") for each in drawn), class_="grid"),
        tag(
            "p",
            "Each day is tested before the models learn from it: trained on days 1 to t, tested on day t+1.",
            class_="note",
        ),
    )


def _data(results: Results) -> Markup:
    manifest, config = results.manifest, results.config
    if manifest is None:
        return absent("No prepared data was found in this run.")
    rows = []
    for number, day in sorted(manifest.days.items()):
        searched = config.search.days if config.strategy != "supernet" else ()
        uses = {"search": searched, "training": config.train.days, "test": (config.train.test_day,)}
        used = ", ".join(use for use, days in uses.items() if number in days)
        rate = f"{100 * day.clicks / day.rows:.2f}%" if day.rows else "n/a"
        rows.append((str(number), f"{day.rows:,}", f"{day.clicks:,}", rate, used or "nothing"))
    sizes = manifest.table_sizes
    capped = sum(size >= config.data.max_rows for size in sizes)
    return join(
        table(("Day", "Rows", "Clicks", "Click rate", "Used for"), rows, "narrow"),
        tag(
            "p",
            f"{len(manifest.dense_columns)} dense columns and {len(sizes)} categorical ones, whose embedding tables "
            f"have {sum(sizes):,} rows in all, {config.model.dim_s} numbers each"
            + (f"; {capped} of them are at the cap of {config.data.max_rows:,} rows." if capped else "."),
        ),
        tag(
            "ul",
            *(
                tag("li", tag("span", name), f"{size:,}")
                for name, size in zip(manifest.sparse_columns, sizes, strict=True)
            ),
            class_="tables",
        ),
    )


def _config(results: Results) -> Markup:
    text = yaml.safe_dump(results.config.to_dict(), sort_keys=False, allow_unicode=True)
    software = yaml.safe_dump(results.environment, sort_keys=False, allow_unicode=True)
    return tag(
        "div",
        tag("details", tag("summary", "Every setting, defaults included"), tag("pre", text)),
        tag("details", tag("summary", "Software"), tag("pre", software)) if results.environment else None,
    )


def _again(results: Results) -> Markup:
    commands = (
        f"distdnas run {results.run / 'config.yaml'} --run runs/again   # all of it, in another folder\n"
        f"distdnas status {results.run}   # the tasks of this run\n"
        f"python tools/table1.py {results.run}   # the comparison, laid out like the paper’s Table I"
    )
    return join(
        tag(
            "p",
            "Equal seeds, settings and versions give equal results on CPUs, on whatever machine; on GPUs, sums may "
            "round otherwise. The config names the raw data by its path.",
        ),
        tag("pre", commands),
    )
