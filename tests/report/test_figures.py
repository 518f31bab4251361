"""Figures show the values of the run: read back from their SVG."""

import dataclasses
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.report import figures
from distdnas_hpc.report.diagram import architecture_diagram
from distdnas_hpc.report.elements import legend
from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.svg import standalone
from tests.report.pages import described, having, texts


@pytest.fixture
def results(run):
    return read_results(run.path)


def days(results):
    return list(results.days.values())


def points(line: ET.Element) -> list[tuple[float, float]]:
    return [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]


def test_the_weight_map_prints_every_mean_and_outlines_the_kept(results):
    image = ET.fromstring(figures.weight_map("alpha", results.found))
    values = [float(value.text) for value in having(image, "value")]
    assert values == pytest.approx(results.found.alpha.ravel(), abs=0.0006)
    assert [value.text for value in having(image, "value", "kept")][:4] == ["0.306", "0.234", "0.210", "0.200"]
    assert len([part for part in having(image, "kept") if part.tag == "rect"]) == 3 * 4
    assert "Kept: block 1 identity, linear, crossnet, pin;" in described(image)


def test_the_weight_map_tells_the_spread_between_days(results):
    """0, 0.004, 0.008 and 0.012 have the standard deviation 0.00516."""
    tooltips = [group.findtext("title") for group in ET.fromstring(figures.weight_map("beta", results.found)).iter("g")]
    assert tooltips[0] == "block 1, identity3d: 0.106 ± 0.005 between days, dropped"
    assert tooltips[2] == "block 1, transformer: 0.040 ± 0.000 between days, dropped"
    assert len(tooltips) == 15


def test_a_larger_weight_is_a_stronger_shade(results):
    cells = having(ET.fromstring(figures.weight_map("alpha", results.found)), "cell")
    shade = [float(cell.attrib["fill-opacity"]) for cell in cells]
    assert np.argsort(shade[:5]).tolist() == np.argsort(results.found.alpha[0]).tolist()


@pytest.mark.parametrize(("blocks", "later"), [(2, "block 2"), (3, "blocks 2–3")])
def test_cost_bars_are_as_long_as_the_importance(results, blocks, later):
    cost = dataclasses.replace(results.cost, dense=results.cost.dense[:blocks], sparse=results.cost.sparse[:blocks])
    image = ET.fromstring(figures.cost_bars("dense", cost))
    first, rest = ([float(bar.attrib["width"]) for bar in having(image, "bar", which)] for which in ("first", "later"))
    assert np.array(first) / first[2] == pytest.approx([0.05, 0.3, 1.0, 0.6, 0.4], abs=0.005)
    assert rest[2] / first[2] == pytest.approx(0.5, abs=0.005)
    assert f"{later}: identity 0.000, linear 0.250" in described(image)


def test_cost_bars_of_one_block_have_no_later_ones(results):
    cost = dataclasses.replace(results.cost, dense=results.cost.dense[:1], sparse=results.cost.sparse[:1])
    image = ET.fromstring(figures.cost_bars("sparse", cost))
    assert len(having(image, "bar", "first")) == 5
    assert having(image, "bar", "later") == []


def test_the_cost_figure_has_both_sides_of_all_modules_and_a_legend(results):
    image = ET.fromstring(figures.cost_importance(results.cost))
    for side, modules in (("dense", DENSE_MODULES), ("sparse", SPARSE_MODULES)):
        bars = {bar.findtext("title") for bar in having(image, "bar", side)} - {None}
        assert len(bars) == 2 * 5
        assert all(any(bar.startswith(f"{name}, block 1: ") for bar in bars) for name in modules)
    assert [text for text in texts(image) if text.startswith("block")] == ["block 1", "blocks 2–3"] * 2
    assert "Sparse modules, block 1: identity3d 0.000, linear3d 0.020" in described(image)


def test_a_standalone_drawing_needs_no_page(results):
    """Other programs know neither the page's style sheet nor CSS variables."""
    text = standalone(figures.cost_importance(results.cost))
    image = ET.fromstring(text)
    assert image.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in text
    assert "svg .bar.dense { fill: #2c6396; }" in " ".join(image[-1].text.split())


def test_weight_trajectories_have_a_line_a_module_and_day(results):
    image = ET.fromstring(figures.weight_trajectories("beta", 1, days(results), 0.2))
    lines = [line for line in having(image, "line") if "threshold" not in line.attrib["class"]]
    names = [line.findtext("title") for line in lines]
    assert len(names) == len(set(names)) == 5 * 4
    assert names[0] == "identity3d, day 1"
    assert "embed_fc 0.350 to 0.350; pma" in described(image)
    assert "identity3d 0.100 to 0.112; linear3d 0.248 to 0.260" in described(image)


def test_weights_that_grow_rise_and_all_start_on_the_threshold(results):
    image = ET.fromstring(figures.weight_trajectories("beta", 1, days(results), 0.2))
    lines = {line.findtext("title"): points(line) for line in having(image, "line")}
    start, end = lines["embed_fc, day 1"][0], lines["embed_fc, day 1"][-1]
    assert end[1] < start[1]  # up
    assert start[1] == lines["θ=0.2"][0][1]


def test_expected_macs_are_told_for_each_day(results):
    image = ET.fromstring(figures.expected_macs(days(results)))
    assert len(having(image, "line", "day")) == 4
    assert "day 3 from 1.500 to 1.230" in described(image)


def test_training_curves_mark_the_days(results):
    image = ET.fromstring(figures.training_curves(results.models))
    assert [text for text in texts(image) if text.startswith("day")] == [f"day {day}" for day in range(1, 6)]
    assert len(having(image, "rule", "dashed")) == 4
    assert [line.findtext("title") for line in having(image, "line")] == ["DLRM", "DistDNAS (θ=0.2, M=1)"]


def test_more_models_than_colours_share_one(results):
    models = [dataclasses.replace(results.models[0], title=f"model {k}") for k in range(1, 9)]
    image = ET.fromstring(figures.training_curves(models))
    assert [line.findtext("title") for line in having(image, "line", "others")] == ["model 8", "model 7", "model 6"]
    assert "3 others" in legend([model.title for model in models], "model")


def test_the_diagram_shows_the_kept_modules_in_order(results):
    image = ET.fromstring(architecture_diagram(results.found))
    block = ["identity", "linear", "crossnet", "pin", "linear3d", "embed_fc", "pma"]
    assert texts(image) == ["stem", *block, "1", *block, "2", *block, "3", "head → click probability"]
    assert len(having(image, "chip", "dense")) == 12
    assert len(having(image, "chip", "sparse")) == 9


def test_the_diagram_draws_two_dense_inputs_and_one_sparse_for_every_block_after_the_first(results):
    image = ET.fromstring(architecture_diagram(results.found))
    assert len(having(image, "way", "dense")) == 1 + 2 + 2 + 1  # blocks 1, 2, 3, head
    assert len(having(image, "way", "sparse")) == 4
    assert len(having(image, "way", "merger")) == 3


def test_a_model_keeps_its_colour_when_another_has_no_curve(results):
    models = [dataclasses.replace(results.models[0], curve=None), results.models[1]]
    image = ET.fromstring(figures.training_curves(models))
    assert [line.findtext("title") for line in having(image, "line", "model2")] == ["DLRM"]
