"""One day's search on a small log in which one token decides most clicks."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from distdnas_hpc.cluster.execute import Stopped, stop_on_signals
from distdnas_hpc.config import Config
from distdnas_hpc.data.feed import Feed
from distdnas_hpc.data.manifest import Manifest
from distdnas_hpc.errors import DivergedError, UserError
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES, Architecture
from distdnas_hpc.nn.dense_modules import DENSE, CrossNet
from distdnas_hpc.nn.embedding import Embedding
from distdnas_hpc.nn.model import CTRModel
from distdnas_hpc.nn.network import Mixing, Network
from distdnas_hpc.nn.optim import Optimizers
from distdnas_hpc.progress import Progress
from distdnas_hpc.search.bilevel import BATCHES
from distdnas_hpc.search.cost import CostImportance, cost_importance
from distdnas_hpc.search.day import search_day
from distdnas_hpc.search.weights import ArchitectureWeights
from distdnas_hpc.storage import read_yaml
from tests.prepared import SILENT, prepare, write_day

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("one_thread")
ROWS = 500
STEPS = 7  # pairs of batches of 34 rows: 15 batches, the last a rest of 24 rows without a partner


def make_config(folder: Path, **search) -> Config:
    return Config.model_validate(
        {
            "run": folder / "run",
            "data": {"schema": {"dense": 2, "sparse": 3}, "raw": f"{folder}/day_{{day}}", "days": 2},
            "model": {"blocks": 2, "dim_d": 16, "dim_s": 8, "n_s": 4, "merged": 2, "heads": 2},
            "cost": {"samples": 50, "latency_weight": 0},
            "search": {"days": "1-2", "batch_size": 34, "warmup_steps": 3, "architecture_lr": 0.05} | search,
            "train": {"days": 1, "test_day": 2, "warmup_days": 0},
            "checkpoint": {"minutes": None, "steps": 2},
        }
    )


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> tuple[Path, Manifest, CostImportance]:
    folder = tmp_path_factory.mktemp("planted")
    for day in (1, 2):
        write_day(folder / f"day_{day - 1}", day, rows=ROWS)
    config = make_config(folder)
    return folder, prepare(config, folder), cost_importance(config, 2, 3, CPU, SILENT)


def search(planted, folder: Path, *, day: int = 1, progress: Progress = SILENT, seed: int = 1, **settings):
    root, manifest, importance = planted
    config = make_config(root, **settings).model_copy(update={"seed": seed})
    folder.mkdir(exist_ok=True)
    return search_day(config, day, manifest, importance, folder, CPU, progress)


def logits(folder: Path) -> np.ndarray:
    found = read_yaml(folder / "architecture.yaml")
    return np.array([found["alpha_logits"], found["beta_logits"]])


def test_writes_the_probabilities_and_what_they_come_from(planted, tmp_path):
    result = search(planted, tmp_path)
    found = read_yaml(tmp_path / "architecture.yaml")
    config = make_config(planted[0])
    assert (found["day"], found["seed"], found["config"]) == (
        1,
        config.seed_of("search", "day_01"),
        config.fingerprint(),
    )
    assert (found["dense_modules"], found["sparse_modules"]) == (list(DENSE_MODULES), list(SPARSE_MODULES))
    for side in ("alpha", "beta"):
        p, z = np.array(found[side]), np.array(found[f"{side}_logits"])
        assert p == pytest.approx(np.exp(z) / np.exp(z).sum(1, keepdims=True), rel=1e-5)
        assert z.any()
    assert result["steps"] == STEPS
    assert result["rows"] == found["rows"] == 2 * STEPS * 34


@pytest.mark.parametrize(("architecture_after", "w_alone"), [(0, 0), (0.5, 3)])
def test_is_the_textbook_loop(planted, tmp_path, architecture_after, w_alone):
    """First-order bilevel search written without any care for speed: backward everywhere, no trajectory.

    Of 7 steps, 3 lie within the first half: in them both batches are w's.
    """
    search(planted, tmp_path, architecture_after=architecture_after)
    config, (_, manifest, importance) = make_config(planted[0]), planted
    torch.manual_seed(config.seed_of("search", "day_01"))
    network = Network(Architecture.full(2), config.model, 2, 3)
    clicks = manifest.days[1].clicks / manifest.days[1].rows
    torch.nn.init.constant_(network.head.bias, np.log(clicks / (1 - clicks)))
    model = CTRModel(Embedding(manifest.table_sizes, 8), network)
    weights = ArchitectureWeights(2)
    optimizers = Optimizers(model, config.optimizer)
    adam = torch.optim.Adam(weights.parameters(), lr=0)
    noise = torch.Generator().manual_seed(config.seed_of("search", "day_01", "gumbel"))
    s = Mixing(torch.tensor(importance.dense).float(), torch.tensor(importance.sparse).float())
    batches = iter(Feed(manifest, 1, 34, shuffle_seed=config.seed_of("search", "day_01", "feed")))
    for step in range(1, STEPS + 1):
        temperature = 1.0 - 0.5 * step / STEPS
        scale = min(1, step / 3)
        for part in ("w", "architecture"):
            batch = next(batches)
            model.zero_grad()
            weights.zero_grad()
            logits_of_rows = model(batch.dense, batch.sparse, mixing=weights.sample(temperature, noise))
            loss = binary_cross_entropy_with_logits(logits_of_rows, batch.label)
            if part == "w" or step <= w_alone:
                loss.backward()
                optimizers.step(scale)
            else:
                p = weights.probabilities()
                (loss + 0.004 * ((p.dense * s.dense).sum() + (p.sparse * s.sparse).sum())).backward()
                adam.param_groups[0]["lr"] = scale * 0.05
                adam.step()
    expected = np.array([weights.alpha_logits.tolist(), weights.beta_logits.tolist()])
    assert logits(tmp_path) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("bilevel", BATCHES)
def test_a_and_b_stay_even_as_long_as_w_learns_alone(planted, tmp_path, bilevel):
    """All at 1/5 until architecture_after; then they move. Both losses are told all the time, and so is R."""
    steps = search(planted, tmp_path, bilevel=bilevel, architecture_after=0.5)["steps"]
    rows = pq.read_table(tmp_path / "trajectory.parquet").to_pylist()
    for row in rows:
        even = row["alpha"] == row["beta"] == [np.float32(0.2)] * 10
        assert even == (row["step"] <= 0.5 * steps)
        assert row["loss_w"] > 0
        assert row["loss_architecture"] > 0
    s = planted[2].dense.sum() + planted[2].sparse.sum()
    assert rows[0]["regularisation"] == pytest.approx(0.004 * s / 5, rel=1e-5)


def test_equal_seeds_give_equal_weights_bit_for_bit_and_other_days_and_seeds_do_not(planted, tmp_path):
    for name, changes in {"a": {}, "b": {}, "seed": {"seed": 2}, "day": {"day": 2}}.items():
        search(planted, tmp_path / name, **changes)
    a, b, seed, day = (logits(tmp_path / name) for name in ("a", "b", "seed", "day"))
    assert (a == b).all()
    assert (a != seed).any()
    assert (a != day).any()


def test_regularisation_turns_the_search_away_from_costly_modules(planted, tmp_path):
    importance = planted[2]
    for gamma in (0.0, 1.0):
        search(planted, tmp_path / str(gamma), gamma=gamma, batch_size=8)
    free, charged = (pq.read_table(tmp_path / name / "trajectory.parquet").to_pylist()[-1] for name in ("0.0", "1.0"))
    assert charged["expected_macs"] < free["expected_macs"]
    costliest = importance.sparse[1].argmax()
    assert charged["beta"][5 + costliest] < free["beta"][5 + costliest]
    assert free["regularisation"] == 0 < charged["regularisation"]


def test_the_trajectory_tells_every_step(planted, tmp_path):
    search(planted, tmp_path)
    rows = pq.read_table(tmp_path / "trajectory.parquet").to_pylist()
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert [row["temperature"] for row in rows] == pytest.approx(
        [1 - 0.5 * step / STEPS for step in range(1, STEPS + 1)]
    )
    found = read_yaml(tmp_path / "architecture.yaml")
    assert rows[-1]["alpha"] == pytest.approx(np.ravel(found["alpha"]), rel=1e-6)
    share = np.concatenate([found["alpha"], found["beta"]], axis=1)
    assert rows[-1]["expected_macs"] == pytest.approx(float(planted[2].macs.of(share)), rel=1e-6)
    s = np.concatenate([planted[2].dense, planted[2].sparse], axis=1)
    before = np.concatenate([np.reshape(rows[-2][side], (2, 5)) for side in ("alpha", "beta")], axis=1)
    assert rows[-1]["regularisation"] == pytest.approx(0.004 * (before * s).sum(), rel=1e-4)
    assert all(row["rows_per_second"] > 0 for row in rows)
    assert all(1e7 < row["memory_bytes"] < 1e12 for row in rows)


def test_progress_says_rows_and_loss(planted, tmp_path):
    result = search(planted, tmp_path, progress=Progress(tmp_path / "progress.json"))
    told = json.loads((tmp_path / "progress.json").read_text())
    assert (told["fraction"], told["rows"]) == (1.0, result["rows"])
    assert told["loss"] == pytest.approx(result["loss_w"])


@pytest.mark.parametrize("click_rates", [(0.1, 0.8), (0.4, 0.4)])
def test_the_supernet_learns_where_there_is_something_to_learn(tmp_path, caplog, click_rates):
    """3,000 rows and a hot learner; where all tokens have one click rate, that is the best answer, and NE stays 1."""
    for day in (1, 2):
        write_day(tmp_path / f"day_{day - 1}", day, rows=3000, click_rates=click_rates)
    config = make_config(tmp_path, batch_size=15)
    config = config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"dense_lr": 0.005})})
    manifest, importance = prepare(config, tmp_path), cost_importance(config, 2, 3, CPU, SILENT)
    result = search_day(config, 1, manifest, importance, tmp_path, CPU, SILENT)
    first, *_, last = result["ne"]
    loss = pq.read_table(tmp_path / "trajectory.parquet")["loss_w"].to_numpy()
    rate = manifest.days[1].clicks / 3000
    of_rate = -rate * np.log(rate) - (1 - rate) * np.log(1 - rate)
    assert result["ne"] == pytest.approx([quarter.mean() / of_rate for quarter in np.split(loss, 4)])
    if click_rates == (0.1, 0.8):
        assert last < 0.75 < first - 0.1
        assert "its weights mean little" not in caplog.text
    else:
        assert last > 0.99
        assert f"day 1: The supernet ends at NE {last:.3f}" in caplog.text


def test_a_day_of_one_batch_is_refused(planted, tmp_path):
    with pytest.raises(UserError, match=r"Day 1 has 500 rows, one batch.*Lower search\.batch_size \(8192\)"):
        search(planted, tmp_path, batch_size=8192)
    assert list(tmp_path.iterdir()) == []


def test_second_order_goes_over_the_day_in_pairs_and_finds_something_else(planted, tmp_path):
    result = search(planted, tmp_path / "second", bilevel="second_order")
    assert (result["steps"], result["rows"]) == (STEPS, 2 * STEPS * 34)
    search(planted, tmp_path / "first")
    second, first = logits(tmp_path / "second"), logits(tmp_path / "first")
    assert np.isfinite(second).all()
    assert (second != first).any()


def test_joint_uses_every_batch_of_the_day_for_both(planted, tmp_path):
    result = search(planted, tmp_path, bilevel="joint")
    assert (result["steps"], result["rows"]) == (2 * STEPS + 1, ROWS)
    assert result["loss_w"] == result["loss_architecture"]
    assert logits(tmp_path).any()
    trajectory = pq.read_table(tmp_path / "trajectory.parquet")
    assert trajectory["step"].to_pylist() == list(range(1, 2 * STEPS + 2))
    assert trajectory["temperature"][-1].as_py() == pytest.approx(0.5)


def test_joint_needs_one_batch_only(planted, tmp_path):
    assert search(planted, tmp_path, bilevel="joint", batch_size=8192)["steps"] == 1


def test_a_loss_that_is_not_finite_stops_the_search_and_leaves_nothing(planted, tmp_path):
    root, manifest, importance = planted
    config = make_config(root)
    config = config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"dense_lr": 1e30})})
    config = config.model_copy(update={"checkpoint": config.checkpoint.model_copy(update={"steps": None})})
    with pytest.raises(
        DivergedError,
        match=r"diverged at step 1 \(day 1\): loss_architecture is .* the largest, .*, is that of module network\.head",
    ):
        search_day(config, 1, manifest, importance, tmp_path, CPU, SILENT)
    assert list(tmp_path.iterdir()) == []


def tells_the_same(folder: Path, other: Path) -> bool:
    """Whether α, β and all that a search says of its way are equal bit for bit; not how fast it was."""
    tables = [
        pq.read_table(each / "trajectory.parquet").drop_columns(["rows_per_second", "memory_bytes"])
        for each in (folder, other)
    ]
    architectures = [(each / "architecture.yaml").read_bytes() for each in (folder, other)]
    return tables[0].equals(tables[1]) and architectures[0] == architectures[1]


class Kills(Progress):
    """Sends this process a signal in a step, before its checkpoint."""

    def __init__(self, step: int, number: int) -> None:
        super().__init__(None)
        self.fraction, self.number = step / STEPS, number

    def update(self, fraction, **told):
        if fraction == self.fraction:
            os.kill(os.getpid(), self.number)


def test_an_interrupted_search_ends_as_an_uninterrupted_one(planted, tmp_path):
    """Stopped after steps 3 and 5, then killed in step 7 after the checkpoint of step 6."""
    search(planted, tmp_path / "whole")
    folder = tmp_path / "interrupted"
    for step, number in ((3, signal.SIGUSR2), (5, signal.SIGTERM)):
        with stop_on_signals(), pytest.raises(Stopped):
            search(planted, folder, progress=Kills(step, number))
        assert f"step_{step:08d}.pt" in {path.name for path in (folder / "checkpoints").iterdir()}
        assert not (folder / "architecture.yaml").exists()

    class Dies(Kills):
        def update(self, fraction, **told):
            if fraction == self.fraction:
                raise MemoryError

    with pytest.raises(MemoryError):
        search(planted, folder, progress=Dies(7, 0))
    search(planted, folder, progress=Kills(0, 0))
    assert tells_the_same(folder, tmp_path / "whole")


@pytest.mark.parametrize("how", [{"seed": 2}, {"day": 2}, {"gamma": 0.5}])
def test_another_searchs_checkpoint_is_refused(planted, tmp_path, how):
    search(planted, tmp_path)
    with pytest.raises(UserError, match=r"step_00000006\.pt belongs to something else"):
        search(planted, tmp_path, **how)


@pytest.mark.parametrize("factor", [float("inf"), float("nan")])
def test_divergence_names_step_day_block_and_module(planted, tmp_path, monkeypatch, factor):
    """The crossnet of block 2, whose input is twice as wide as that of block 1, breaks in step 5, its w batch."""

    class Breaks(CrossNet):
        def __init__(self, shape, model):
            super().__init__(shape, model)
            self.second = shape.width == 2 * model.dim_d
            self.register_buffer("calls", torch.tensor(0))

        def forward(self, x):
            self.calls += 1
            counted = not x.left.is_meta  # there memory is reckoned, before the first step
            broken = self.second and counted and self.calls >= 2 * 5 - 1
            return super().forward(x) * (factor if broken else 1)

    monkeypatch.setitem(DENSE, "crossnet", Breaks)
    with pytest.raises(DivergedError) as caught:
        search(planted, tmp_path)
    culprit = "the first output that is not finite is that of block 2, dense module crossnet"
    assert str(caught.value).startswith(f"LogLoss diverged at step 5 (day 1): loss_w is nan; {culprit}. Lower")
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"step_00000002.pt", "step_00000004.pt"}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


def test_a_loss_beyond_the_bound_is_divergence_too(planted, tmp_path):
    root, manifest, importance = planted
    config = make_config(root)
    hot = config.optimizer.model_copy(update={"dense_lr": 30.0})
    config = config.model_copy(update={"optimizer": hot})
    with pytest.raises(
        DivergedError, match=r"loss_\w+ is [\d.e+]+; all outputs are finite; the largest, .* is that of"
    ):
        search_day(config, 1, manifest, importance, tmp_path, CPU, SILENT)
    tolerant = config.model_copy(update={"optimizer": hot.model_copy(update={"divergence": 1e30})})
    (tmp_path / "tolerant").mkdir()
    search_day(tolerant, 1, manifest, importance, tmp_path / "tolerant", CPU, SILENT)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_a_gpu_finds_what_the_cpu_finds_within_rounding(planted, tmp_path):
    root, manifest, importance = planted
    (tmp_path / "gpu").mkdir()
    search(planted, tmp_path / "cpu")
    search_day(make_config(root), 1, manifest, importance, tmp_path / "gpu", torch.device("cuda"), SILENT)
    assert logits(tmp_path / "gpu") == pytest.approx(logits(tmp_path / "cpu"), abs=0.02)
