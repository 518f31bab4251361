"""The stages from the days' weights to the comparison, on a finished run whose config asks for more models."""

import shutil

import pytest
import yaml

from distdnas_hpc import pipeline, study
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.table import comparison_cells
from distdnas_hpc.search.aggregate import discretize
from distdnas_hpc.storage import read_yaml, write_yaml


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy of a finished run that has another config, and nothing after its searches."""
    run = shutil.copytree(finished_run, tmp_path / "run")
    tree = yaml.safe_load((run / "config.yaml").read_text())
    tree["run"] = str(run)
    tree["search"]["theta"] = [0.3, 0.2]
    tree["train"] |= {"copies": [1, 2], "batch_size": 64}
    write_yaml(run / "config.yaml", tree)
    shutil.rmtree(run / "aggregate")
    shutil.rmtree(run / "train")
    return run


def do(run, stage: str, task: str) -> dict:
    study.run_task(str(run), stage, task, 1)
    return read_yaml(run / stage / task / "result.yaml")


def test_each_theta_has_an_architecture_and_each_m_a_model_of_it(run):
    do(run, "aggregate", "all")
    mean = read_results(run).found
    assert mean.theta == 0.3
    for theta in (0.2, 0.3):
        assert mean.architectures[theta] == discretize(mean.alpha, mean.beta, theta)
    assert mean.architectures[0.2] != mean.architectures[0.3]

    once, twice = (do(run, "train", f"distdnas_t0.3_m{copies}") for copies in (1, 2))
    assert (twice["title"], twice["model"], twice["theta"], twice["copies"]) == (
        *("DistDNAS (θ=0.3, M=2)", "distdnas", 0.3, 2),
    )
    assert twice["macs"] == 2 * once["macs"]
    assert twice["interaction_parameters"] == 2 * once["interaction_parameters"] - 1, "the head has one bias"
    assert [model.name for model in read_results(run).models] == ["distdnas_t0.3_m1", "distdnas_t0.3_m2"]


def test_a_model_that_diverges_is_recorded_and_the_table_made_without_it(run):
    tree = yaml.safe_load((run / "config.yaml").read_text())
    tree["optimizer"]["dense_lr"] = 1000.0
    write_yaml(run / "config.yaml", tree)
    do(run, "aggregate", "all")
    told = do(run, "train", "dlrm")
    assert (told["state"], told["model"], told["theta"]) == ("diverged", "dlrm", None)
    assert "LogLoss diverged at step" in told["reason"]
    assert "auc" not in told
    assert not (run / "train/dlrm/model.pt").exists()
    results = read_results(run)
    assert results.diverged == {"DLRM": told["reason"]}
    assert comparison_cells(results)[-1][::4] == ("DLRM", "diverged")


def test_recurring_training_ends_like_final_training(finished_run, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "run")
    tree = yaml.safe_load((run / "config.yaml").read_text())
    tree["train"]["recurring"] = ["dlrm"]
    write_yaml(run / "config.yaml", tree)
    stages = {stage.name: stage for stage in pipeline.stages(RunFolder(run).config)}
    assert stages["recurring"].tasks == ("dlrm",)
    assert "recurring" in stages["report"].after
    told = do(run, "recurring", "dlrm")
    assert [(day["trained_days"], day["test_day"]) for day in told["days"]] == [(1, 2), (2, 3), (3, 4)]
    final = read_yaml(run / "train/dlrm/result.yaml")
    assert {key: final[key] for key in told["days"][-1]} == told["days"][-1]
    assert (told["title"], told["state"], told["macs"]) == ("DLRM", "done", final["macs"])
