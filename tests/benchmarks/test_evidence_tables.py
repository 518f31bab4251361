"""The tables of docs/evidence.md: from results of known values, and those that are committed."""

import json
import re
import sys

import pytest

from benchmarks.evidence import tables
from tests.shrunk import ROOT


def model(strategy, seed, auc, macs, ne=0.9, **more):
    of_search = {"gamma": None, "theta": None, "copies": None} | more
    return {"strategy": strategy, "seed": seed, "auc": auc, "ne": ne, "logloss": 0.1, "macs": macs} | of_search


def found(seed, auc, macs, ne=0.9):
    return model("distdnas", seed, auc, macs, ne, gamma=0.004, theta=0.2, copies=1)


PRODUCTS = {
    "bayes": {"auc": 0.9, "auc_standard_error": 0.001},
    "macs": {"base": 1000, "modules": [[100] * 10, [100] * 10]},
    "models": [
        *(model("Logistic regression", seed, 0.5, 200, 0.99) for seed in (1, 2)),
        *(model("DLRM", seed, 0.7, 4000, 0.8) for seed in (1, 2)),
        *(model("DCN-v2", seed, 0.7, 20_000, 0.85) for seed in (1, 2)),
        found(1, 0.82, 1500, 0.72),
        found(2, 0.7, 2500, 0.8),
    ],
    "searches": [
        {"strategy": "distdnas", "gamma": 0.004, "seed": seed, "days": [[[0.1, 0.1, dot, 0.1, pin, *[0.2] * 5]] * 2]}
        for seed, dot, pin in ((1, 0.5, 0.2), (2, 0.3, 0.4))
    ],
}


def searched(strategy, seed, steps, ne):
    return {"strategy": strategy, "gamma": 0.004, "seed": seed, "days": [], "steps": steps, "ne": ne}


LEARNED = PRODUCTS | {
    "searches": [
        searched("distdnas", 1, [156, 150], [[1.0, 0.9, 0.8, 0.7], [1.0, 0.9, 0.8, 0.6]]),
        searched("distdnas", 2, [156, 150], [[0.98, 0.9, 0.8, 0.75], [0.98, 0.9, 0.8, 0.75]]),
        searched("one_shot", 1, [1306], [[0.9, 0.8, 0.7, 0.65]]),
    ]
}


def varied(of, seed, kept, macs, ne, **setting):
    of_base = {"of": of, "gamma": 0.004, "blocks": 2, "theta": 0.2, "copies": 1}
    return of_base | setting | {"seed": seed, "kept": kept, "macs": macs, "ne": ne, "auc": 1 - ne / 4, "logloss": 0.1}


ABLATION = {
    "models": [
        varied("copies", 1, 10, 30_000, 0.7, copies=2),
        varied("theta", 1, 18, 40_000, 0.8, theta=0.15),
        varied("theta", 2, 16, 44_000, 0.72, theta=0.15),
        varied("blocks", 1, 24, 50_000, 0.7, blocks=3),
        varied("gamma", 1, 4, 9000, 0.88, gamma=0.04),
        varied("gamma", 1, 12, 20_000, 0.8, gamma=0.0),
    ]
}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with those results and a page of all tables."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "benchmarks/evidence/results").mkdir(parents=True)
    (tmp_path / "benchmarks/evidence/results/planted_products.json").write_text(json.dumps(PRODUCTS))
    (tmp_path / "docs").mkdir()
    marks = [
        "recovery",
        "macs",
        "preferred",
        "weights",
        "days",
        "thetas planted_products 0.15 0.25",
        "models planted_products",
    ]
    page = "# Page\n\n" + "\n\nbetween\n\n".join(f"<!-- {mark} -->\nold\n<!-- end -->" for mark in marks)
    (tmp_path / "docs/evidence.md").write_text(page)
    return tmp_path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tables", *arguments])
    tables.main()


def table(page, mark):
    """The cells of each row below the head."""
    lines = re.search(rf"<!-- {mark}[^>]* -->\n(.*?)\n<!-- end -->", page, re.DOTALL)[1].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_tables_tell_what_the_results_hold(checkout, monkeypatch):
    run(monkeypatch)
    page = (checkout / "docs/evidence.md").read_text()
    assert "old" not in page
    assert page.count("\n\nbetween\n\n") == 6
    # (0.82 - 0.5)/(0.9 - 0.5) = 80% and 50%; se of two values is half their difference
    assert table(page, "recovery") == [
        ["`products`", "0.5000 ± 0.0000", "0.7000 ± 0.0000", "0.7000 ± 0.0000", "0.7600 ± 0.0600", "0.9000",
         "65% ± 15%"],
    ]  # fmt: skip
    assert table(page, "macs") == [
        ["`products`", "0.0020 ± 0.0005 M", "0.0040 ± 0.0000 M", "0.0200 ± 0.0000 M", "0.0030 M", "67%"]
    ]
    # dot_product leads pin by 0.5 to 0.2 in one search, trails by 0.3 to 0.4 in the other: 4 and 3 of 4 pairs
    assert table(page, "preferred") == [
        ["`products`", "`dot_product`", "0.400 ± 0.100, 0.400 ± 0.100", "100%", "25%", "0.88 ± 0.12"],
    ]  # fmt: skip
    assert table(page, "weights") == [
        ["`products`", "0.100", "0.100", "**0.400**", "0.100", "0.300", *["0.200"] * 5, "0.100"],
    ]
    assert table(page, "thetas") == [
        ["0.15", "14.0 ± 0.0", "0.0024 ± 0.0000 M"],
        ["0.25", "5.0 ± 1.0", "0.0015 ± 0.0001 M"],
    ]
    assert [row[0] for row in table(page, "models")] == [
        "DistDNAS (γ=0.004, θ=0.2, M=1)", "DLRM", "DCN-v2", "Logistic regression",
    ]  # fmt: skip
    assert table(page, "models")[0][1:] == [
        "2", "0.002 M", "0.7600 ± 0.0600", "0.1000 ± 0.0000", "0.7600 ± 0.0400", "-5.00%",
    ]  # fmt: skip


def write(checkout, name, results):
    (checkout / f"benchmarks/evidence/results/{name}.json").write_text(json.dumps(results))


def test_the_supernets_ne_is_that_of_days_and_seeds_on_average_quarter_by_quarter(checkout):
    write(checkout, "planted_products", LEARNED)
    quarters = ["0.9900 ± 0.0100", "0.9000 ± 0.0000", "0.8000 ± 0.0000", "0.7000 ± 0.0500"]
    assert table(tables.fill("<!-- learned planted_products -->\n<!-- end -->"), "learned") == [
        ["`products`", "a day", "150 to 156", *quarters, "0.8000 ± 0.0000"],
        ["`products`", "all days", "1,306", "0.9000", "0.8000", "0.7000", "0.6500", "0.8000 ± 0.0000"],
    ]


def test_searches_that_tell_no_ne_have_no_line(checkout):
    assert table(tables.fill("<!-- learned planted_products planted_none -->\n<!-- end -->"), "learned") == []


def test_an_ablation_has_a_line_for_each_value_in_order(checkout):
    write(checkout, "planted_products_ablation", ABLATION)
    assert table(tables.fill("<!-- ablation planted_products -->\n<!-- end -->"), "ablation") == [
        ["γ", "0", "1", "12.0 of 20", "0.0200 M", "0.8000", "0.8000"],
        ["γ", "0.04", "1", "4.0 of 20", "0.0090 M", "0.8800", "0.7800"],
        ["N", "3", "1", "24.0 of 30", "0.0500 M", "0.7000", "0.8250"],
        ["θ", "0.15", "2", "17.0 ± 1.0 of 20", "0.0420 ± 0.0020 M", "0.7600 ± 0.0400", "0.8100 ± 0.0100"],
        ["M", "2", "1", "10.0 of 20", "0.0300 M", "0.7000", "0.8250"],
    ]


def test_no_share_of_a_gap_that_is_none(checkout, monkeypatch):
    near = PRODUCTS | {"bayes": {"auc": 0.502, "auc_standard_error": 0.001}}
    (checkout / "benchmarks/evidence/results/planted_products.json").write_text(json.dumps(near))
    run(monkeypatch)
    assert table((checkout / "docs/evidence.md").read_text(), "recovery")[0][6] == "no gap"


def test_check_changes_nothing_and_notices_a_number_that_no_result_holds(checkout, monkeypatch):
    run(monkeypatch)
    run(monkeypatch, "--check")
    page = checkout / "docs/evidence.md"
    page.write_text(page.read_text().replace("0.7600", "0.8600"))
    with pytest.raises(SystemExit, match=r"evidence\.md differs from its results"):
        run(monkeypatch, "--check")
    assert "0.8600" in page.read_text()


def test_the_page_holds_what_the_committed_results_say(monkeypatch):
    monkeypatch.chdir(ROOT)
    run(monkeypatch, "--check")
