"""AUC or NE against MACs: positions, intervals, the frontier."""

import dataclasses
import itertools
import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdnas_hpc.report.pareto import Point, frontier, pareto, points_of, points_of_paper
from distdnas_hpc.report.results import read_results
from tests.report.pages import described, having


@pytest.fixture
def results(run):
    return read_results(run.path)


def drawn(points, metric="auc"):
    return ET.fromstring(pareto(points, metric))


def test_intervals_reach_196_standard_errors_to_both_sides(results):
    image = drawn(points_of(results, "auc"))
    found, other = (float(circle.attrib["cy"]) for circle in having(image, "point"))
    bars = [line for line in having(image, "interval") if line.attrib["x1"] == line.attrib["x2"]]
    top, bottom = (float(bars[0].attrib[end]) for end in ("y1", "y2"))
    assert found - top == pytest.approx(bottom - found, abs=0.02)
    pixels_per_auc = (other - found) / (0.7112 - 0.7051)
    assert bottom - found == pytest.approx(1.96 * 0.0181 * pixels_per_auc, rel=0.01)
    assert "DLRM: 0.7051 ± 0.036 at 1.200 M MACs" in described(image)


def test_an_undefined_standard_error_leaves_a_point_without_claim(results):
    models = tuple(dataclasses.replace(model, auc_standard_error=math.nan) for model in results.models)
    image = drawn(points_of(dataclasses.replace(results, models=models), "auc"))
    assert len(having(image, "point")) == 2
    assert having(image, "interval") == []
    assert "±" not in described(image)


def test_a_model_without_auc_is_left_out(results):
    models = (results.models[0], dataclasses.replace(results.models[1], auc=math.nan))
    assert [point.title for point in points_of(dataclasses.replace(results, models=models), "auc")] == [
        "DistDNAS (θ=0.2, M=1)"
    ]


def test_the_paper_s_frontier_is_distdnas_s_from_2_m_macs_on():
    """As Figure 1 shows it."""
    best = [point.title for point in frontier(points_of_paper("auc"), "auc")]
    assert best[:2] == ["NASRec-tiny (paper)", "AutoCTR-tiny (paper)"]
    assert best[2] == "DeepFM (paper)"
    assert [title for title in best[3:] if not title.startswith("DistDNAS")] == []
    assert len(best) == 8


def test_lower_ne_is_better():
    points = [Point("a", 1, 0.9, 0, "found"), Point("b", 2, 0.8, 0, "found"), Point("c", 3, 0.85, 0, "found")]
    assert [point.title for point in frontier(points, "ne")] == ["a", "b"]
    assert [point.title for point in frontier(points, "auc")] == ["a"]
    assert "On the frontier: a, b." in described(drawn(points, "ne"))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12))
def test_the_frontier_is_what_nobody_dominates(pairs):
    points = [Point(str(i), macs, value, 0, "found") for i, (macs, value) in enumerate(pairs)]
    good = {
        (macs, value)
        for macs, value in pairs
        if not any(m <= macs and v >= value and (m, v) != (macs, value) for m, v in pairs)
    }
    assert {(point.macs, point.value) for point in frontier(points, "auc")} == good


def test_labels_of_models_that_score_alike_do_not_overlap():
    image = drawn([Point(f"model {i}", 1, 0.7, 0, "found") for i in range(4)])
    places = sorted((label.attrib.get("text-anchor"), float(label.attrib["y"])) for label in having(image, "title"))
    for (side, above), (same, below) in itertools.pairwise(places):
        assert side != same or below - above >= 11
