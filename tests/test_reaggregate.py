"""`distdnas aggregate`: other means, other θ, from the files of a finished run."""

import json

import numpy as np
import pytest

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.reaggregate import reaggregate
from distdnas_hpc.storage import read_yaml, write_yaml
from tests.cluster.small_stages import small_config
from tests.report.conftest import SyntheticRun
from tests.shrunk import distdnas

FLAT = [[0.2] * 5] * 2
ROWS = {1: 300, 2: 100}
MODEL = {"blocks": 2, "dim_d": 8, "dim_s": 4, "n_s": 4, "merged": 2, "heads": 2}


@pytest.fixture
def run(tmp_path):
    """Two searched days of three: the first block's `linear` has 0.6 on day 1 and 0.2 on day 2."""
    run = RunFolder.prepare(
        small_config(tmp_path / "run", search={"days": "1-3"}, train={"days": "1-2", "test_day": 3}, model=MODEL)
    )
    for day, linear in ((1, 0.6), (2, 0.2)):
        folder = run.task_folder("search", f"day_{day:02d}")
        folder.mkdir(parents=True)
        alpha = [[(1 - linear) / 4] * 5, [0.2] * 5]
        alpha[0][DENSE_MODULES.index("linear")] = linear
        about = {"day": day, "rows": ROWS[day], "config": "same", "alpha": alpha, "beta": FLAT}
        write_yaml(folder / "architecture.yaml", about)
        write_yaml(folder / "result.yaml", {"rows": ROWS[day]})
    return run


def test_days_count_alike_or_by_their_rows(run):
    """Equal: (0.6 + 0.2)/2 = 0.4. By rows: (300·0.6 + 100·0.2)/400 = 0.5."""
    linear = DENSE_MODULES.index("linear")
    for by_rows, mean in ((False, 0.4), (True, 0.5)):
        told = reaggregate(run, 0.25, 1, None, by_rows=by_rows, name=None)
        written = read_yaml(run.path / "aggregate" / told["name"] / "aggregate.yaml")
        assert written["alpha"][0][linear] == pytest.approx(mean)
        assert np.allclose(np.sum(written["alpha"], axis=1), 1)
        assert told["dense"][0] == ["linear"]
        assert len(told["dense"][1]) == 1, "none reaches 0.25, so the best is kept"
    assert reaggregate(run, 0.2, 1, None, by_rows=False, name=None)["sparse"] == [list(SPARSE_MODULES)] * 2


def test_some_days_alone(run):
    told = reaggregate(run, 0.5, 1, [1], by_rows=False, name=None)
    assert (told["days"], told["dense"][0], told["name"]) == ([1], ["linear"], "t0.5_days_1_equal")


def test_copies_multiply_the_interaction_part(run):
    one, two, three = (reaggregate(run, 0.2, copies, None, by_rows=False, name="a") for copies in (1, 2, 3))
    assert three["macs"] - two["macs"] == two["macs"] - one["macs"] > 0


@pytest.mark.parametrize(
    ("days", "name", "sentence"),
    [([1, 3], None, "Of the days to average, 3 are not searched"), (None, "all", "'all' is not free for an aggregate")],
)
def test_what_cannot_be_averaged_is_told(days, name, sentence, run):
    with pytest.raises(UserError, match=sentence):
        reaggregate(run, 0.2, 1, days, by_rows=False, name=name)
    assert not (run.path / "aggregate").exists()


def test_another_aggregate_is_never_overwritten(run):
    told = reaggregate(run, 0.2, 1, [1], by_rows=False, name="mine")
    before = (run.path / "aggregate/mine/aggregate.yaml").read_bytes()
    assert reaggregate(run, 0.2, 1, [1], by_rows=False, name="mine") == told
    with pytest.raises(UserError, match="holds another aggregate; nothing was changed"):
        reaggregate(run, 0.2, 1, [1, 2], by_rows=False, name="mine")
    assert (run.path / "aggregate/mine/aggregate.yaml").read_bytes() == before


def test_the_command_tells_what_is_kept(run):
    told = distdnas(
        "aggregate", run.path, "--theta", 0.25, "--copies", 2, "--days", "1-2", "--weights", "rows", "--json"
    )
    assert told.returncode == 0, told.stderr
    content = json.loads(told.stdout)
    assert (content["weights"], content["days"], content["copies"]) == ("rows", [1, 2], 2)
    assert (run.path / "aggregate/t0.25_days_1-2_rows/architecture_t0.25.yaml").is_file()
    told = distdnas("aggregate", run.path, "--theta", 0.25)
    assert "block 1: linear; " in told.stdout
    told = distdnas("aggregate", run.path, "--theta", 0.25, "--days", "one")
    assert (told.returncode, "--days: days are written like '1-4' or '1-4,6', not 'one'" in told.stderr) == (2, True)


@pytest.mark.parametrize("strategy", ["one_shot", "supernet"])
def test_without_days_there_is_nothing_to_average(strategy, tmp_path):
    run = SyntheticRun(tmp_path / "run").become(strategy)
    told = rf"searched no day by itself \(strategy {strategy}\).*tools/export_architecture\.py \S+ --theta 0\.25"
    with pytest.raises(UserError, match=told):
        reaggregate(RunFolder(run.path), 0.25, 1, None, by_rows=False, name=None)
