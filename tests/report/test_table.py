"""The comparison in its four shapes, and the sentence on what it can prove."""

import dataclasses
import io
import json
import math

import pytest
from rich.console import Console

from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.table import (
    HEADERS,
    caveat,
    comparison,
    comparison_cells,
    comparison_markdown,
    comparison_table,
    detectable_difference,
    signed,
    significant,
)


@pytest.fixture
def results(run):
    return read_results(run.path)


def with_errors(results, *errors, **changes):
    """The same results with other standard errors, and only as many models."""
    models = [
        dataclasses.replace(model, auc_standard_error=error, **changes)
        for model, error in zip(results.models, errors, strict=False)
    ]
    return dataclasses.replace(results, models=tuple(models))


def test_rows_hold_plain_values(results):
    assert comparison(results)[0] == {
        "model": "DistDNAS (θ=0.2, M=1)",
        "state": "done",
        "macs": 900_000,
        "parameters": 320_800,
        "interaction_parameters": 40_000,
        "auc": 0.7112,
        "auc_standard_error": 0.0181,
        "logloss": pytest.approx(0.47268),
        "logloss_standard_error": 0.009,
        "ne": 0.909,
        "ne_standard_error": 0.017,
        "calibration": 1.04,
        "calibration_standard_error": 0.05,
        "relative_ne_percent": pytest.approx(1.0),
        "auc_difference": None,
        "auc_difference_standard_error": None,
        "relative_ne_percent_standard_error": None,
    }


def test_relative_ne_is_that_of_table_1(results):
    """Paper, Table I: NE 0.8462 for DLRM and 0.845 for DeepFM is -0.14 %."""
    models = tuple(dataclasses.replace(model, ne=ne) for model, ne in zip(results.models, (0.845, 0.8462), strict=True))
    cells = comparison_cells(dataclasses.replace(results, models=models))
    assert [row[-1] for row in cells] == ["−0.14", "0.00"]


def test_cells_are_written_with_their_units(results):
    assert comparison_cells(results) == [
        ("DistDNAS (θ=0.2, M=1)", "0.900", "0.321", "0.040", "0.7112 ± 0.018", "0.47268", "0.9090", "+1.00"),
        ("DLRM", "1.200", "0.341", "0.060", "0.7051 ± 0.018", "0.46800", "0.9000", "0.00"),
    ]


def test_without_dlrm_there_is_no_relative_ne(results):
    alone = dataclasses.replace(results, models=results.models[:1])
    assert comparison(alone)[0]["relative_ne_percent"] is None
    assert comparison_cells(alone)[0][-1] == "n/a"


def test_json_is_valid_where_the_standard_error_is_not_defined(results):
    rows = comparison(with_errors(results, math.nan, math.nan))
    assert json.loads(json.dumps(rows, allow_nan=False))[0]["auc_standard_error"] is None
    assert comparison_cells(with_errors(results, math.nan, math.nan))[0][4] == "0.7112"


def test_the_terminal_shows_every_model_on_one_line_of_80_columns(results):
    console = Console(file=io.StringIO(), width=80)
    console.print(comparison_table(results))
    lines = console.file.getvalue().splitlines()
    words = {word for header in HEADERS for word in header.split()} - {"Interaction", "parameters"}
    assert words <= set(" ".join(lines).split())
    for cells in comparison_cells(results):
        line = next(line for line in lines if cells[0] in line)
        shown = [cell for header, cell in zip(HEADERS, cells) if header != "Interaction parameters (M)"]
        assert line.split() == " ".join(shown).replace(" ± ", "±").split()


def test_a_title_is_no_terminal_markup(results):
    models = (dataclasses.replace(results.models[0], title="[bold]x[/bold]"),)
    console = Console(file=io.StringIO(), width=160)
    console.print(comparison_table(dataclasses.replace(results, models=models)))
    assert "[bold]x[/bold]" in console.file.getvalue()


def test_markdown_has_a_line_a_model(results):
    lines = comparison_markdown(results).splitlines()
    assert lines[0] == f"| {' | '.join(HEADERS)} |"
    assert lines[3] == "| DLRM | 1.200 | 0.341 | 0.060 | 0.7051 ± 0.018 | 0.46800 | 0.9000 | 0.00 |"
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1


def test_the_caveat_is_one_sentence_with_the_numbers_of_the_data(results):
    told = caveat(results)
    assert told.startswith("1,200 test rows with 258 clicks: the standard error of an AUC here is 0.018, ")
    assert "differ by about 0.051 " in told  # 1.96·√(0.0181² + 0.0184²)
    assert told.endswith(".")
    assert ". " not in told


def test_the_detectable_difference_is_that_of_independent_errors(results):
    assert detectable_difference(with_errors(results, 0.03, 0.04)) == pytest.approx(1.96 * 0.05)


def test_millions_of_rows_are_told_without_exponents(results):
    told = caveat(with_errors(results, 2.04e-5, 1.9e-5, test_rows=195_841_983, clicks=6_000_000))
    assert told.startswith(
        "195,841,983 test rows with 6,000,000 clicks: the standard error of an AUC here is 0.000020,"
    )
    assert "about 0.000055 " in told


def test_one_model_alone_has_an_interval(results):
    told = caveat(with_errors(results, 0.0181))
    assert "could as well be 0.676 or 0.747" in told


def test_one_click_proves_nothing(results):
    told = caveat(with_errors(results, math.nan, math.nan, clicks=1))
    assert told.startswith("1,200 test rows with 1 click: ")
    assert "prove nothing" in told


def test_one_class_is_told(results):
    told = caveat(with_errors(results, math.nan, math.nan, clicks=0, auc=math.nan, ne=math.nan))
    assert told == "1,200 test rows with 0 clicks: all of one class, so AUC and NE are not defined."


def test_what_is_not_defined_is_not_there(results):
    undefined = with_errors(results, math.nan, math.nan, auc=math.nan, ne=math.nan)
    assert comparison_cells(undefined)[0][4:] == ("n/a", "0.47268", "n/a", "n/a")
    assert comparison(undefined)[0]["auc"] is None


def test_a_model_that_diverged_has_a_line(results):
    told = dataclasses.replace(results, models=results.models[:1], diverged={"DLRM": "LogLoss diverged"})
    assert comparison_cells(told)[1] == ("DLRM", "n/a", "n/a", "n/a", "diverged", "n/a", "n/a", "n/a")
    assert comparison(told)[1]["state"] == "diverged"


def test_no_model_is_told_too(results):
    assert caveat(dataclasses.replace(results, models=())) == (
        "No model is trained yet, so there is nothing to compare."
    )


@pytest.mark.parametrize(
    ("number", "text"), [(0.0181, "0.018"), (0.0499, "0.050"), (0.0996, "0.100"), (3.14, "3.1"), (0.0, "0")]
)
def test_two_significant_digits(number, text):
    assert significant(number) == text


@pytest.mark.parametrize(("number", "text"), [(0.321, "+0.32"), (-0.321, "−0.32"), (-0.001, "0.00"), (0.0, "0.00")])
def test_signs(number, text):
    assert signed(number) == text
