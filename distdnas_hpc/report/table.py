"""The comparison of the trained models: one source for the terminal, Markdown, JSON and the page."""

import itertools
import math
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from distdnas_hpc.report.differences import BASELINE
from distdnas_hpc.report.parts import METRICS, TrainedModel
from distdnas_hpc.report.results import Results

TWO_SIDED_95 = 1.96
"""Standard errors on each side of an estimate that make a 95% interval."""

DIFFERENCES = ("auc_difference", "auc_difference_standard_error", "relative_ne_percent_standard_error")

HEADERS = (
    "Model",
    "MACs (M)",
    "Parameters (M)",
    "Interaction parameters (M)",
    "AUC ± SE",
    "LogLoss",
    "NE",
    "Relative NE (%)",
)


def comparison(results: Results) -> list[dict[str, Any]]:
    """Return one row a model in plain values, ready for JSON.

    Returns
    -------
    list of dicts with model, state (done or diverged), macs (a sample), parameters, interaction_parameters, the metrics
    and their standard errors (None where one is not defined), and the difference from DLRM, paired on the same rows:
    relative_ne_percent, (NE ÷ NE of DLRM - 1)·100 (None without DLRM), auc_difference, and their standard errors (None
    where they were not computed). Models that diverged come last, with None for all numbers.
    """
    baseline = results.model(BASELINE)
    rows: list[dict[str, Any]] = [
        {
            "model": model.title,
            "state": "done",
            "macs": model.macs,
            "parameters": model.parameters,
            "interaction_parameters": model.interaction_parameters,
            **{name: _defined(getattr(model, name)) for name in METRICS},
            "relative_ne_percent": _defined((model.ne / baseline.ne - 1) * 100) if baseline else None,
            **_difference(model),
        }
        for model in results.models
    ]
    numbers = ("macs", "parameters", "interaction_parameters", *METRICS, "relative_ne_percent", *DIFFERENCES)
    return rows + [{"model": title, "state": "diverged", **dict.fromkeys(numbers)} for title in results.diverged]


def comparison_cells(results: Results) -> list[tuple[str, ...]]:
    """Return the rows as text, in the order of `HEADERS`."""
    return [
        (
            (row["model"], *["n/a"] * 3, "diverged", *["n/a"] * 3)
            if row["state"] == "diverged"
            else (
                row["model"],
                millions(row["macs"]),
                millions(row["parameters"]),
                millions(row["interaction_parameters"]),
                _formatted(row["auc"], ".4f")
                + (f" ± {significant(error)}" if (error := row["auc_standard_error"]) is not None else ""),
                f"{row['logloss']:.5f}",
                _formatted(row["ne"], ".4f"),
                ("n/a" if row["relative_ne_percent"] is None else signed(row["relative_ne_percent"]))
                + (f" ± {significant(error)}" if (error := row["relative_ne_percent_standard_error"]) else ""),
            )
        )
        for row in comparison(results)
    ]


def comparison_table(results: Results) -> Table:
    """Return the comparison for a terminal of 80 columns, without the parameters of the interactions alone."""
    title = f"Tested on day {results.config.train.test_day}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    shown = [index for index, header in enumerate(HEADERS) if header != "Interaction parameters (M)"]
    for index in shown:
        header = HEADERS[index].replace("Relative NE (%)", "Relative\nNE (%)").replace("s (M)", "s\n(M)")
        table.add_column(header, justify="right" if index else "left", no_wrap=True)
    for cells in comparison_cells(results):
        table.add_row(*(Text(cells[index].replace(" ± ", "±")) for index in shown))  # as Text: a title is no markup
    return table


def comparison_markdown(results: Results) -> str:
    """Return the comparison as a Markdown table."""
    rows = [HEADERS, (":--", *["--:"] * (len(HEADERS) - 1)), *comparison_cells(results)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def detectable_difference(results: Results) -> float | None:
    """Return how far two AUCs must lie apart before chance in the draw of the test rows is an unlikely reason.

    1.96·√(SE₁² + SE₂²) of the pair with the largest standard errors, that is as if each model had test rows of its
    own. Both see the same rows, so their errors go together and the truth is smaller; a paired test tells (`chance`).
    None with fewer than two models or where a standard error is not defined.
    """
    errors = [model.auc_standard_error for model in results.models]
    if len(errors) < 2 or not all(map(math.isfinite, errors)):
        return None
    return max(TWO_SIDED_95 * math.hypot(*pair) for pair in itertools.combinations(errors, 2))


def caveat(results: Results) -> str:
    """Say in one sentence how little the test rows can prove."""
    if not results.models:
        return "No model is trained yet, so there is nothing to compare."
    first = results.models[0]
    error = max((model.auc_standard_error for model in results.models), key=lambda e: (math.isnan(e), e))
    tested = f"{first.test_rows:,} test rows with {first.clicks:,} {'click' if first.clicks == 1 else 'clicks'}"
    if first.clicks in (0, first.test_rows):
        return f"{tested}: all of one class, so AUC and NE are not defined."
    if not math.isfinite(error):
        return f"{tested}: too few of one class for a standard error of the AUC, so these scores prove nothing."
    difference = detectable_difference(results)
    if difference is None:
        low, high = (first.auc + side * TWO_SIDED_95 * error for side in (-1, 1))
        return (
            f"{tested}: the standard error of this AUC is {significant(error)}, so on other rows of the same kind it "
            f"could as well be {max(low, 0):.3f} or {min(high, 1):.3f}."
        )
    told = f"{tested}: the standard error of an AUC here is {significant(error)}"
    seed = "nothing here shows how much another seed would change"
    compared = next((model for model in results.models if model.difference is not None), None)
    if compared is None or compared.difference is None:
        return (
            f"{told}, so two models must differ by about {significant(difference)} before it means anything (a paired "
            f"test on these same rows could resolve somewhat less, but {seed})."
        )
    auc, paired_error = compared.difference.auc, compared.difference.auc_standard_error
    return (
        f"{told}, but paired on these same rows the AUC of {compared.title} is {significant(abs(auc))} "
        f"{'higher' if auc > 0 else 'lower'} than DLRM's with a standard error of {significant(paired_error)}, "
        f"{chance(compared)} ({seed})."
    )


def chance(model: TrainedModel) -> str:
    """Judge a model's AUC against DLRM's by the paired test, two-sided at 95%."""
    assert model.difference is not None
    if abs(model.difference.auc) < TWO_SIDED_95 * model.difference.auc_standard_error:
        return f"too little to tell from chance on {model.test_rows:,} test rows"
    return f"more than chance in the draw of the {model.test_rows:,} test rows explains"


def _difference(model: TrainedModel) -> dict[str, float | None]:
    found = model.difference
    if found is None:
        return dict.fromkeys(DIFFERENCES)
    values = (found.auc, found.auc_standard_error, found.relative_ne_percent_standard_error)
    return {name: _defined(value) for name, value in zip(DIFFERENCES, values, strict=True)}


def _defined(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _formatted(number: float | None, how: str) -> str:
    return "n/a" if number is None else format(number, how)


def millions(count: int) -> str:
    """Write a count in millions."""
    return f"{count / 1e6:,.3f}"


def signed(number: float) -> str:
    """Write a number with its sign and two decimals; what rounds to zero has no sign."""
    text = f"{abs(number):.2f}"
    return text if float(text) == 0 else f"{'+' if number > 0 else '−'}{text}"


def significant(number: float) -> str:
    """Write a positive number below 10 with two significant digits and no exponent."""
    return f"{number:.{max(0, 1 - math.floor(math.log10(number)))}f}" if number > 0 else "0"
