"""Recurring training: read back, relative to DLRM, drawn day by day."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from distdnas_hpc.config import load_config
from distdnas_hpc.errors import UserError
from distdnas_hpc.report.page import write_report
from distdnas_hpc.report.recurring import next_days, next_days_rows, read_next_days
from distdnas_hpc.storage import read_yaml, write_yaml
from tests.report.pages import Page, described, having


@pytest.fixture
def recurring(run):
    run.write_next_days()
    return run.path


def read(path):
    return read_next_days(path, load_config(path / "config.yaml"))


def test_models_are_read_in_the_config_s_order_and_relative_to_dlrm(recurring):
    models = read(recurring)
    assert [model.title for model in models] == ["DistDNAS (θ=0.2, M=1)", "DCN-v2", "DLRM"]
    assert models[1].days == (2, 3, 4, 5, 6)
    assert models[1].auc == pytest.approx([0.712, 0.713, 0.714, 0.715, 0.716])
    rows = next_days_rows(models)
    assert len(rows) == 15
    assert rows[5] == {
        "model": "DCN-v2", "day": 2, "auc": pytest.approx(0.712), "ne": pytest.approx(0.8955),
        "relative_ne_percent": pytest.approx(-0.5),
    }  # fmt: skip
    assert rows[-1]["relative_ne_percent"] == 0


def test_a_better_model_s_line_lies_above(recurring):
    image = ET.fromstring(next_days(read(recurring), "auc"))
    lines = [[tuple(map(float, p.split(","))) for p in line.attrib["points"].split()]
             for line in having(image, "line") if line.tag == "polyline"]  # fmt: skip
    assert [len(line) for line in lines] == [5, 5, 5]
    assert all(found[1] < dcn[1] < dlrm[1] for found, dcn, dlrm in zip(*lines))
    assert "DLRM: day 2 0.7020, day 3 0.7030" in described(image)
    assert "DCN-v2: day 2 -0.5000" in described(ET.fromstring(next_days(read(recurring), "ne")))


def test_a_day_of_one_class_is_left_out(recurring):
    path = recurring / "recurring/dlrm/result.yaml"
    content = read_yaml(path)
    content["days"][1]["auc"] = None
    write_yaml(path, content)
    models = read(recurring)
    assert np.isnan(models[2].auc[1])
    assert "DLRM: day 2 0.7020, day 4 0.7040" in described(ET.fromstring(next_days(models, "auc")))
    assert next_days_rows(models)[11]["auc"] is None


def test_what_diverged_or_is_missing_is_not_there_and_what_is_damaged_is_named(recurring):
    write_yaml(recurring / "recurring/dcnv2/result.yaml", {"title": "DCN-v2", "state": "diverged", "reason": "x"})
    (recurring / "recurring/dlrm/result.yaml").unlink()
    models = read(recurring)
    assert [model.model for model in models] == ["distdnas"]
    assert next_days_rows(models)[0]["relative_ne_percent"] is None
    write_yaml(recurring / "recurring/dlrm/result.yaml", {"title": "DLRM"})
    with pytest.raises(UserError, match=r"recurring/dlrm/result\.yaml is damaged"):
        read(recurring)


def test_the_page_shows_it_where_the_config_asks_for_it(run):
    assert "recurring" not in Page(write_report(run.path).read_text(encoding="utf-8")).sections
    run.write_next_days()
    page = Page(write_report(run.path).read_text(encoding="utf-8"))
    assert {"next-days-auc", "next-days-ne"} <= set(page.drawings)
