"""Final training on a small log in which one token decides most clicks."""

import dataclasses
import json
import os
import signal
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn

from distdnas_hpc import trajectory
from distdnas_hpc.cluster.execute import Stopped, stop_on_signals
from distdnas_hpc.config import Checkpoint, Config
from distdnas_hpc.data.feed import Feed
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.errors import DivergedError, UserError
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.optim import Optimizers
from distdnas_hpc.progress import Progress
from distdnas_hpc.train import trainer
from distdnas_hpc.train.candidates import Candidate
from distdnas_hpc.train.metrics import evaluate_scores
from distdnas_hpc.train.models import build_network
from distdnas_hpc.train.scores import SCORES, read_scores
from distdnas_hpc.train.trainer import train_model
from tests.prepared import SILENT, prepare, write_day

ROWS = 500  # a day
CPU = torch.device("cpu")
DISTDNAS = Candidate("distdnas_t0.2_m1", "distdnas", 0.2, 1)
DLRM = Candidate("dlrm", "dlrm")
pytestmark = pytest.mark.usefixtures("one_thread")


def prepared(folder: Path, **changes) -> tuple[Config, Manifest]:
    """Turn folder/day_0 … day_3 into shards; days 1-3 train, day 4 tests."""
    config = Config.model_validate(
        {
            "run": folder / "run",
            "data": {"schema": {"dense": 2, "sparse": 3}, "raw": f"{folder}/day_{{day}}", "days": 4},
            "model": {"blocks": 2, "dim_d": 16, "dim_s": 8, "n_s": 4, "merged": 2, "heads": 2}
            | {"baseline_width": 32, "baseline_layers": 2},
            "optimizer": {"dense_lr": 0.005},
            "search": {"days": 1},
            "train": {"days": "1-3", "test_day": 4, "batch_size": 32, "warmup_days": 1} | changes,
        }
    )
    return config, prepare(config, folder)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> tuple[Config, Manifest]:
    folder = tmp_path_factory.mktemp("planted")
    for day in range(1, 5):
        write_day(folder / f"day_{day - 1}", day)
    return prepared(folder)


def train(planted, folder: Path, *, network=None, build=None, seed: int = 1, progress: Progress = SILENT, **options):
    """Train `network`, or what `build` makes; by default a small DistDNAS."""
    config, manifest = planted
    if network is not None:
        build = lambda: network  # noqa: E731
    folder.mkdir(exist_ok=True)
    build = build or (lambda: build_network(DISTDNAS, config, 2, 3, Architecture.full(2)))
    return train_model(config, build, manifest, seed, folder, CPU, progress, **options)


class RowReader(nn.Module):
    """A network that writes down I1 of every row it is trained on and every row it is tested on."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 1)
        self.seen: dict[bool, list[torch.Tensor]] = {True: [], False: []}

    def forward(self, dense, embedded):
        self.seen[self.training].append(dense[:, 0].clone())
        return self.head(dense).squeeze(1) + 0 * embedded.sum((1, 2))


def in_file_order(manifest: Manifest, *days: int) -> torch.Tensor:
    return torch.cat([batch.dense[:, 0] for day in days for batch in Feed(manifest, day, 64)])


@pytest.mark.parametrize("candidate", [DISTDNAS, DLRM], ids=lambda each: each.model)
def test_learns_the_planted_token(planted, tmp_path, candidate):
    torch.manual_seed(1)
    network = build_network(candidate, planted[0], 2, 3, Architecture.full(2))
    result = train(planted, tmp_path, network=network)
    loss = pq.read_table(tmp_path / "trajectory.parquet")["loss"].to_numpy()
    best_auc = 0.85  # of a model that knows both click rates
    assert best_auc - 0.07 < result["auc"] < best_auc + 0.07
    assert loss[-10:].mean() < loss[:5].mean() - 0.1
    assert result["ne"] < 0.85


def test_the_result_is_about_these_rows(planted, tmp_path):
    result = train(planted, tmp_path)
    assert set(result) == {
        *("rows", "train_seconds", "rows_per_second", "test_day", "trained_days", "test_rows", "clicks"),
        *("auc", "logloss", "ne", "calibration"),
        *("auc_standard_error", "logloss_standard_error", "ne_standard_error", "calibration_standard_error"),
    }
    assert (result["rows"], result["test_day"], result["test_rows"]) == (3 * ROWS, 4, ROWS)
    assert result["clicks"] == planted[1].days[4].clicks
    assert result["rows_per_second"] == pytest.approx(result["rows"] / result["train_seconds"])
    assert all(type(value) in (int, float) for value in result.values()), "plain numbers go into YAML"


def test_metrics_are_those_of_the_stored_model_on_the_test_day(planted, tmp_path):
    config, manifest = planted
    result = train(planted, tmp_path)
    model = CTRModel(Embedding(manifest.table_sizes, 8), build_network(DISTDNAS, config, 2, 3, Architecture.full(2)))
    model.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    model.eval()
    (batch,) = Feed(manifest, 4, ROWS)
    with torch.no_grad():
        probability = torch.sigmoid(model(batch.dense, batch.sparse).double()).numpy()
    assert result["auc"] == pytest.approx(roc_auc_score(batch.label, probability), abs=1e-4)
    assert result["logloss"] == pytest.approx(log_loss(batch.label, probability), rel=1e-5)
    assert result["calibration"] == pytest.approx(probability.sum() / batch.label.sum().item(), rel=1e-5)


def test_each_training_row_is_seen_once_day_after_day_and_shuffled_within_the_day(planted, tmp_path):
    network = RowReader()
    train(planted, tmp_path, network=network)
    seen = torch.cat(network.seen[True])
    assert len(seen.unique()) == len(seen) == 3 * ROWS
    for day, rows in enumerate(seen.split(ROWS), start=1):
        expected = in_file_order(planted[1], day)
        assert torch.equal(rows.sort().values, expected)  # I1 grows with the row's number
        assert not torch.equal(rows, expected)
    assert torch.equal(torch.cat(network.seen[False]), in_file_order(planted[1], 4))


def test_every_model_sees_the_same_batches(planted, tmp_path):
    orders = []
    for seed in (1, 2):
        network = RowReader()
        train(planted, tmp_path / str(seed), network=network, seed=seed)
        orders.append(torch.cat(network.seen[True]))
    assert torch.equal(*orders)


def test_the_stored_model_is_that_of_the_textbook_loop(planted, tmp_path):
    config, manifest = planted
    train(planted, tmp_path, seed=3)

    torch.manual_seed(3)
    network = build_network(DISTDNAS, config, 2, 3, Architecture.full(2))
    torch.manual_seed(3)
    model = CTRModel(Embedding(manifest.table_sizes, 8), network)
    optimizers = Optimizers(model, config.optimizer)
    step = 0
    for day in (1, 2, 3):
        for batch in Feed(manifest, day, 32, shuffle_seed=config.seed_of("train", f"day_{day:02d}", "feed")):
            step += 1
            optimizers.zero_grad()
            logits = model(batch.dense, batch.sparse)
            nn.functional.binary_cross_entropy_with_logits(logits, batch.label).backward()
            optimizers.step(min(1.0, step / 16))

    stored = torch.load(tmp_path / "model.pt", weights_only=True)
    assert set(stored) == set(model.state_dict())
    assert all(torch.equal(stored[name], tensor) for name, tensor in model.state_dict().items())


def test_equal_seeds_give_equal_models_bit_for_bit(planted, tmp_path):
    first, second, other = (train(planted, tmp_path / str(i), seed=seed) for i, seed in enumerate((7, 7, 8)))
    weights = [torch.load(tmp_path / str(i) / "model.pt", weights_only=True) for i in range(3)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert (first["auc"], first["logloss"]) == (second["auc"], second["logloss"]) != (other["auc"], other["logloss"])


@pytest.mark.parametrize("warmup_days", [0, 1, 2])
def test_learning_rates_grow_linearly_over_the_first_days(planted, tmp_path, monkeypatch, warmup_days):
    scales: list[float] = []

    class Watched(trainer.Optimizers):
        def step(self, scale: float) -> None:
            scales.append(scale)
            super().step(scale)

    monkeypatch.setattr(trainer, "Optimizers", Watched)
    config, manifest = planted
    config = config.model_copy(update={"train": config.train.model_copy(update={"warmup_days": warmup_days})})
    train((config, manifest), tmp_path, network=RowReader())
    a_day = 16  # steps: 500 rows in batches of 32
    steps = np.arange(1, 3 * a_day + 1)
    assert scales == pytest.approx(np.minimum(1, steps / (warmup_days * a_day)) if warmup_days else np.ones(3 * a_day))


def test_a_trajectory_row_is_the_mean_loss_of_its_stretch(planted, tmp_path, monkeypatch):
    train(planted, tmp_path / "fine")
    monkeypatch.setattr(trajectory, "MOST_ROWS", 5)
    train(planted, tmp_path / "coarse")
    fine, coarse = (pq.read_table(tmp_path / name / "trajectory.parquet") for name in ("fine", "coarse"))
    assert fine["step"].to_pylist() == list(range(1, 49))
    assert fine["day"].to_pylist() == [1] * 16 + [2] * 16 + [3] * 16
    assert coarse["step"].to_pylist() == [10, 20, 30, 40, 48]
    assert min(coarse["rows_per_second"].to_pylist()) > 0
    rows = np.array([*[32] * 15, ROWS - 15 * 32] * 3)
    loss = fine["loss"].to_numpy()
    expected = [np.average(loss[i : i + 10], weights=rows[i : i + 10]) for i in range(0, 48, 10)]
    assert coarse["loss"].to_numpy() == pytest.approx(expected, rel=1e-5)


def test_progress_counts_trained_and_tested_rows(planted, tmp_path):
    train(planted, tmp_path, progress=Progress(tmp_path / "progress.json"))
    told = json.loads((tmp_path / "progress.json").read_text())
    assert (told["fraction"], told["rows"]) == (1.0, 4 * ROWS)


def test_a_loss_that_is_not_finite_stops_the_training_and_leaves_no_model(planted, tmp_path):
    class Diverges(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(2, 1)
            self.register_buffer("calls", torch.tensor(0))

        def forward(self, dense, embedded):
            self.calls += 1
            logits = self.head(dense).squeeze(1)
            return logits * float("nan") if self.calls == 20 else logits

    with pytest.raises(
        DivergedError, match=r"step 20 \(day 2\): loss is nan; .* not finite is that of module network\."
    ):
        train(planted, tmp_path, build=Diverges)
    assert list(tmp_path.iterdir()) == []


class Kills(Progress):
    """Stops the process when so many rows are done."""

    def __init__(self, rows):
        super().__init__(None)
        self.rows = rows

    def update(self, fraction, *, rows, **told):
        if rows == self.rows:
            os.kill(os.getpid(), signal.SIGTERM)


def test_an_interrupted_training_ends_as_an_uninterrupted_one(planted, tmp_path):
    """Stopped in the middle of day 1, at the end of day 2, and, tested already in part, before the end."""
    config, manifest = planted
    often = config.model_copy(update={"checkpoint": Checkpoint(steps=5)})
    expected = train(planted, tmp_path / "whole")

    folder = tmp_path / "interrupted"
    for rows, last in ((7 * 32, 7), (2 * ROWS, 32), (4 * ROWS, 45)):
        with stop_on_signals(), pytest.raises(Stopped):
            train((often, manifest), folder, progress=Kills(rows))
        assert f"step_{last:08d}.pt" in {path.name for path in (folder / "checkpoints").iterdir()}
    result = train((often, manifest), folder)
    noise = {"train_seconds", "rows_per_second"}
    assert {key: result[key] for key in result.keys() - noise} == {key: expected[key] for key in result.keys() - noise}
    models = [torch.load(tmp_path / name / "model.pt", weights_only=True) for name in ("whole", "interrupted")]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    tables = [pq.read_table(tmp_path / name / "trajectory.parquet") for name in ("whole", "interrupted")]
    assert all(tables[0][name] == tables[1][name] for name in ("step", "day", "loss"))


@pytest.mark.parametrize(("click_rate", "which"), [(0.0, "None"), (1.0, "All")])
def test_a_test_day_of_one_class_has_no_auc_and_says_so(tmp_path, click_rate, which):
    for day in range(1, 5):
        write_day(tmp_path / f"day_{day - 1}", day, click_rates=(click_rate,) * 2 if day == 4 else (0.1, 0.8))
    found = train(prepared(tmp_path), tmp_path / "task", network=RowReader())
    assert found["undefined"] == f"{which} of the {ROWS} rows of test day 4 are clicks, so AUC and NE are not defined."
    assert found["auc"] is found["ne"] is found["auc_standard_error"] is None
    assert found["logloss"] > 0


def test_a_test_day_that_is_missing_is_told_before_training(planted, tmp_path):
    config, manifest = planted
    without = dataclasses.replace(manifest, days={day: told for day, told in manifest.days.items() if day != 4})
    network = RowReader()
    with pytest.raises(UserError, match=r"Test day 4 is not prepared in .*; correct train\.test_day or prepare it"):
        train((config, without), tmp_path, network=network)
    assert network.seen[True] == []


def test_a_score_that_is_not_finite_is_a_divergence(planted, tmp_path):
    class Overflows(RowReader):
        def forward(self, dense, embedded):
            logits = super().forward(dense, embedded)
            return logits if self.training else logits / 0

    with pytest.raises(DivergedError, match=r"The score of row 1 of test day 4 is -?inf"):
        train(planted, tmp_path, network=Overflows())


def test_a_checkpoint_of_another_config_is_refused(planted, tmp_path):
    config, manifest = planted
    often = config.model_copy(update={"checkpoint": Checkpoint(steps=5)})
    train((often, manifest), tmp_path)
    other = often.model_copy(update={"optimizer": often.optimizer.model_copy(update={"dense_lr": 0.1})})
    with pytest.raises(
        UserError, match=r"step_00000048\.pt belongs to something else \(it differs in config\).*remove"
    ):
        train((other, manifest), tmp_path)


def test_scores_of_the_test_day_are_stored(planted, tmp_path):
    result = train(planted, tmp_path)
    found = read_scores(tmp_path / SCORES)
    assert np.array_equal(found.label, torch.cat([batch.label for batch in Feed(planted[1], 4, 32)]).numpy())
    assert asdict(evaluate_scores(*found)).items() >= {key: result[key] for key in ("auc", "ne", "calibration")}.items()


def test_recurring_training_tests_each_day_on_a_model_of_the_days_before(planted, tmp_path):
    """Each row of the table is the result of a final training on the days before."""
    config, manifest = planted
    network = RowReader()
    train(planted, tmp_path / "order", network=network, recurring=True)
    assert torch.equal(torch.cat(network.seen[False]), in_file_order(manifest, 2, 3, 4))
    found = train(planted, tmp_path / "recurring", recurring=True)
    assert [told["test_day"] for told in found["days"]] == [2, 3, 4]
    for told, last in zip(found["days"], (1, 2, 3)):
        settings = config.train.model_copy(update={"days": tuple(range(1, last + 1)), "test_day": last + 1})
        alone = train((config.model_copy(update={"train": settings}), manifest), tmp_path / f"day_{last}")
        assert {key: alone[key] for key in told} == told


def test_an_interrupted_recurring_training_ends_as_an_uninterrupted_one(planted, tmp_path):
    """Stopped in a day's training, in its test, and in the test of the last day."""
    config, manifest = planted
    often = config.model_copy(update={"checkpoint": Checkpoint(steps=5)})
    expected = train(planted, tmp_path / "whole", recurring=True)
    folder = tmp_path / "interrupted"
    for rows in (ROWS + 64, 3 * ROWS + 5 * 32, 5 * ROWS + 64):
        with stop_on_signals(), pytest.raises(Stopped):
            train((often, manifest), folder, progress=Kills(rows), recurring=True)
    assert train((often, manifest), folder, recurring=True)["days"] == expected["days"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_a_gpu_trains_what_the_cpu_trains_within_rounding(planted, tmp_path):
    config, manifest = planted
    expected = train(planted, tmp_path / "cpu")
    torch.manual_seed(1)
    network = build_network(DISTDNAS, config, 2, 3, Architecture.full(2))
    (tmp_path / "gpu").mkdir()
    found = train_model(config, lambda: network, manifest, 1, tmp_path / "gpu", torch.device("cuda"), SILENT)
    assert found["auc"] == pytest.approx(expected["auc"], abs=0.01)
