"""Reading a run back: what is there, what is missing, what is damaged."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from distdnas_hpc.errors import UserError
from distdnas_hpc.report.results import read_results


def test_everything_a_run_wrote_is_read(run):
    results = read_results(run.path)
    assert [model.name for model in results.models] == ["distdnas_t0.2_m1", "dlrm"]
    assert results.models[0].parameters == 40_000 + 280_800
    assert sorted(results.days) == [1, 2, 3, 4]
    assert results.days[2].alpha.shape == results.days[2].beta.shape == (18, 3, 5)
    assert results.days[2].alpha[0] == pytest.approx(np.full((3, 5), 0.2))
    assert results.days[2].alpha[-1, 1] == pytest.approx([0.304, 0.236, 0.05, 0.21, 0.20])
    assert results.days[2].beta[-1, 2] == pytest.approx([0.104, 0.256, 0.04, 0.35, 0.25])
    assert results.found.alpha[0] == pytest.approx([0.306, 0.234, 0.05, 0.21, 0.20])
    assert results.found.architecture.sparse == (("linear3d", "embed_fc", "pma"),) * 3
    assert results.found.kept == 3 * 4 + 3 * 3
    assert results.cost.dense.shape == (3, 5)
    assert results.manifest.days[6].clicks == 258
    assert results.models[1].curve.day[-1] == 5
    assert (results.missing_days, results.missing_models) == ((), ())


def test_tasks_come_in_order_of_their_start(run):
    tasks = read_results(run.path).tasks
    stages = ["manifest", "cost", "search", "search", "search", "search", "aggregate", "train", "train"]
    assert [task.stage for task in tasks] == stages
    assert (tasks[0].finished - tasks[0].started).total_seconds() == tasks[0].seconds == 4.0


def test_what_has_no_result_is_missing_even_if_some_files_are_there(run):
    (run.path / "search" / "day_03" / "result.yaml").unlink()
    (run.path / "train" / "dlrm" / "result.yaml").unlink()
    (run.path / "cost" / "all" / "result.yaml").unlink()
    results = read_results(run.path)
    assert results.missing_days == (3,)
    assert sorted(results.days) == [1, 2, 4]
    assert results.missing_models == ("dlrm",)
    assert results.cost is None


def test_a_run_that_has_just_begun_holds_nothing(run):
    for path in run.path.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    results = read_results(run.path)
    assert (results.models, results.days, results.tasks) == ((), {}, ())
    assert results.found is results.cost is results.manifest is None


def test_a_folder_without_config_is_no_run(tmp_path):
    with pytest.raises(UserError, match="not a run folder"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("train/dlrm/result.yaml", "auc: 0.7051", "area: 0.7051"),
        ("train/dlrm/result.yaml", "macs: 1200000", "macs: many"),
        ("cost/all/result.yaml", "- - 0.05\n", "- - 0.05\n  - 0.05\n"),
        ("aggregate/all/architecture_t0.2.yaml", "crossnet", "crossnest"),
        ("search/day_01/result.yaml", "started:", "begun:"),
    ],
)
def test_a_damaged_file_is_named(run, name, old, new):
    path = run.path / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=f"{name} is damaged"):
        read_results(run.path)


@pytest.mark.parametrize("name", ["search/day_02/trajectory.parquet", "train/dlrm/trajectory.parquet"])
def test_a_truncated_trajectory_is_named(run, name):
    path = run.path / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=f"{name} is damaged"):
        read_results(run.path)


def test_the_report_imports_no_torch():
    program = (
        "import sys, distdnas_hpc.report.page, distdnas_hpc.report.table; "
        "print([name for name in ('torch', 'sklearn', 'distdnas_hpc.cluster') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_mean_that_is_just_being_written_is_not_read(run):
    """Runs of a study read one another while they are at work."""
    (run.path / "aggregate/all/result.yaml").unlink()
    (run.path / "aggregate/all/architecture_t0.2.yaml").unlink()
    assert read_results(run.path).found is None
