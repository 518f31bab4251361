"""Table II: what converged, judged by losses of known height."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distdnas_hpc.report.results import read_results
from distdnas_hpc.report.strategies import last_loss, strategy_rows
from distdnas_hpc.storage import read_yaml, write_yaml


def told(run):
    (row,) = strategy_rows([read_results(run.path)])
    return row._asdict()


def change_config(run, **changes):
    tree = read_yaml(run.path / "config.yaml")
    tree["search"].update(changes)
    write_yaml(run.path / "config.yaml", tree)


def test_the_loss_is_that_of_the_last_tenth_of_the_steps(tmp_path):
    steps = list(range(10, 101, 10))
    pq.write_table(pa.table({"step": steps, "loss_w": [0.9] * 8 + [0.7, 0.5]}), tmp_path / "t.parquet")
    assert last_loss(tmp_path / "t.parquet") == 0.5


def test_a_search_that_ends_below_the_entropy_converged(run):
    """Days of 300 clicks in 1,200 rows have an entropy of .562; the searches end at .506 (the last two points)."""
    row = told(run)
    assert (row["title"], row["search"], row["training"]) == ("DistDNAS", "yes", "yes")
    assert (row["theta"], row["copies"], row["macs"], row["ne"]) == (0.2, 1, 900_000, 0.909)


def test_one_day_that_ends_above_it_did_not(run):
    path = run.path / "search/day_03/trajectory.parquet"
    table = pq.read_table(path)
    at = table.column_names.index("loss_w")
    pq.write_table(table.set_column(at, "loss_w", pa.array([0.57] * 18, pa.float32())), path)
    assert told(run)["search"] == "no"


def test_a_missing_day_and_a_diverged_one(run):
    change_config(run, min_days=4)
    (run.path / "search/day_02/result.yaml").unlink()
    assert told(run)["search"] == "not done"
    (run.path / "search/day_02/attempt_01").mkdir()
    write_yaml(run.path / "search/day_02/attempt_01/ended.yaml", {"state": "diverged"})
    assert (told(run)["search"], told(run)["training"]) == ("diverged", "yes")
    (run.path / "train/distdnas_t0.2_m1/result.yaml").unlink()
    assert told(run)["training"] == "n/a"


def test_enough_days_are_enough(run):
    """The config's min_days is 1."""
    (run.path / "search/day_02/result.yaml").unlink()
    assert told(run)["search"] == "yes"


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"ne": 1.01}, "no"), ({"ne": None}, "no"), ({"state": "diverged", "reason": "x"}, "diverged")],
)
def test_a_training_that_is_no_better_than_the_click_rate_did_not_converge(run, changes, word):
    path = run.path / "train/distdnas_t0.2_m1/result.yaml"
    write_yaml(path, {**read_yaml(path), **changes})
    assert told(run)["training"] == word


def test_before_the_training_there_is_none(run):
    (run.path / "train/distdnas_t0.2_m1/result.yaml").unlink()
    row = told(run)
    assert (row["search"], row["training"], row["macs"]) == ("yes", "not done", None)


def test_without_gamma_it_is_distributed_dnas(run):
    change_config(run, gamma=0.0)
    assert (told(run)["title"], told(run)["gamma"]) == ("Distributed DNAS", None)


def test_the_supernet_has_no_search_and_no_theta(run):
    tree = read_yaml(run.path / "config.yaml")
    write_yaml(run.path / "config.yaml", {**tree, "strategy": "supernet"})
    row = told(run)
    assert (row["title"], row["search"], row["theta"]) == ("SuperNet", "n/a", None)


def test_one_search_over_all_days_is_judged_by_the_clicks_of_all(run):
    tree = read_yaml(run.path / "config.yaml")
    write_yaml(run.path / "config.yaml", {**tree, "strategy": "one_shot"})
    assert told(run)["search"] == "not done"
    (run.path / "search/day_01").rename(run.path / "search/all")
    assert told(run)["search"] == "yes"
