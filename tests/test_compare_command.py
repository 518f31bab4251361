"""`distdnas compare` on a finished run: more models, the same experiment."""

import json
import shutil

import pytest

from tests.shrunk import SMALL_BATCHES, distdnas, write_config


@pytest.fixture
def run_and_config(finished_run, tmp_path):
    return shutil.copytree(finished_run, tmp_path / "run"), write_config(tmp_path, **SMALL_BATCHES)


def test_trains_what_is_missing_and_run_shows_the_configs_models_again(run_and_config):
    run, config = run_and_config
    before = (run / "train/dlrm/result.yaml").stat().st_mtime_ns
    told = distdnas("compare", config, "--models", "dlrm,logistic_regression", "--cluster", "inline", "--json")
    assert told.returncode == 0, told.stderr
    models = [row["model"] for row in json.loads(told.stdout)]
    assert models == ["DistDNAS (θ=0.2, M=1)", "DLRM", "Logistic regression"]
    assert all(row["state"] == "done" for row in json.loads(told.stdout))
    assert json.loads(told.stdout)[2]["relative_ne_percent_standard_error"] > 0, "paired with DLRM"
    assert (run / "train/dlrm/result.yaml").stat().st_mtime_ns == before
    assert "Logistic regression" in (run / "report.html").read_text()

    told = distdnas("run", config, "--cluster", "inline")
    assert told.returncode == 0, told.stderr
    assert "Logistic regression" not in told.stdout
    assert "Logistic regression" not in (run / "report.html").read_text()
    assert (run / "train/logistic_regression/result.yaml").exists()


def test_an_unknown_model_is_told_with_the_known_ones(run_and_config):
    run, config = run_and_config
    before = (run / "config.yaml").read_bytes()
    told = distdnas("compare", config, "--models", "dlrm,dlrn")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("Error: No model is called 'dlrn'; known: logistic_regression, wide_deep, dlrm, ")
    assert (run / "config.yaml").read_bytes() == before
