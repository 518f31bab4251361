"""A run folder as the pipeline leaves it, made of known values."""

import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distdnas_hpc.config import Config
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.report.page import write_report
from distdnas_hpc.storage import read_yaml, write_yaml

START = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


class SyntheticRun:
    """Writes the files of a run; a test then takes some away or changes them.

    Days have 1,200 rows with 258 clicks (the training days 300). Every day ends at the same weights but for a shift
    from the second module to the first, 0.004 more with each day.
    """

    def __init__(self, path: Path, *, blocks: int = 3, days: int = 4, title: str = "DistDNAS (θ=0.2, M=1)") -> None:
        self.path, self.blocks, self.days = path, blocks, days
        path.mkdir()
        self.config = Config.model_validate(
            {
                "run": str(path),
                "seed": 7,
                "data": {"schema": "criteo", "raw": "/data/criteo.tsv.gz", "rows_per_day": 1200, "days": days + 2},
                "model": {"blocks": blocks, "dim_s": 8, "heads": 2},
                "search": {"days": f"1-{days}", "min_days": 1},
                "train": {"days": f"1-{days + 1}", "test_day": days + 2},
            }
        )
        write_yaml(path / "config.yaml", self.config.to_dict())
        write_yaml(path / "environment.yaml", {"host": "node1", "packages": {"torch": "2.13.0"}})
        self._clock = START
        self.write_manifest()
        self.write_cost()
        ends = [self.write_search(day) for day in range(1, days + 1)]
        self.write_aggregate(np.array([a for a, _ in ends]), np.array([b for _, b in ends]))
        self.write_model(
            "distdnas_t0.2_m1", title, macs=900_000, interactions=40_000, auc=0.7112, error=0.0181, ne=0.909
        )
        self.write_model("dlrm", "DLRM", macs=1_200_000, interactions=60_000, auc=0.7051, error=0.0184, ne=0.9)

    def become(self, strategy: str, *, seed: int = 7, ne: float | None = None) -> "SyntheticRun":
        """Leave what another strategy of search leaves."""
        changes = {"strategy": strategy, "seed": seed}
        write_yaml(self.path / "config.yaml", {**read_yaml(self.path / "config.yaml"), **changes})
        if strategy == "one_shot":
            (self.path / "search/day_01").rename(self.path / "search/all")
            for day in range(2, self.days + 1):
                shutil.rmtree(self.path / f"search/day_{day:02d}")
        elif strategy == "supernet":
            shutil.rmtree(self.path / "search")
            (self.path / "aggregate/all/aggregate.yaml").unlink()
        if ne is not None:
            self.write_ne("distdnas_t0.2_m1", ne)
        return self

    def write_ne(self, model: str, ne: float) -> None:
        result = self.path / "train" / model / "result.yaml"
        write_yaml(result, {**read_yaml(result), "ne": ne})

    def leave_out_published(self) -> None:
        tree = read_yaml(self.path / "config.yaml")
        write_yaml(self.path / "config.yaml", {**tree, "train": {**tree["train"], "baselines": []}})
        for folder in (self.path / "train").iterdir():
            if not folder.name.startswith("distdnas"):
                shutil.rmtree(folder)

    def write_result(self, stage: str, task: str, result: dict, seconds: float = 4.0) -> Path:
        folder = self.path / stage / task
        folder.mkdir(parents=True, exist_ok=True)
        end = self._clock + timedelta(seconds=seconds)
        told = {"attempt": 1, "host": "node1", "started": self._clock.isoformat(), "finished": end.isoformat()}
        write_yaml(folder / "result.yaml", {**result, "task": {**told, "seconds": seconds}})
        self._clock = end
        return folder

    def write_manifest(self) -> None:
        shard = [{"name": "shard_0000.h5", "rows": 1200, "sha256": "0" * 64}]
        files = {"shards": shard, "ids": {"name": "ids.npy", "codes": [100] * 26, "sha256": "0" * 64}}
        clicks = dict.fromkeys(range(1, self.days + 2), 300) | {self.days + 2: 258}
        (self.path / "prepared").mkdir()
        content = {
            "data": self.config.data.model_dump(mode="json", by_alias=True),
            "days": {day: {"rows": 1200, "clicks": count, **files} for day, count in clicks.items()},
            "dense": {f"I{i + 1}": {"mean": 1.0, "std": 2.0} for i in range(13)},
            "sparse": {f"C{i + 1}": {"rows": 100 * (i + 1)} for i in range(26)},
        }
        write_yaml(self.path / "prepared" / "manifest.yaml", content)
        self.write_result("manifest", "all", {"rows": 1200 * (self.days + 2)})

    def write_cost(self) -> None:
        first, later = {"dense": [0.05, 0.3, 1.0, 0.6, 0.4]}, {"dense": [0.0, 0.25, 0.5, 0.45, 0.35]}
        first["sparse"], later["sparse"] = [0.0, 0.02, 0.33, 0.06, 0.12], [0.0, 0.01, 0.21, 0.04, 0.11]
        table = {side: [first[side]] + [later[side]] * (self.blocks - 1) for side in ("dense", "sparse")}
        self.write_result("cost", "all", {"samples": 5000, **table, "r2": 0.987, "macs_full": 2_500_000})

    def write_search(self, day: int) -> tuple[np.ndarray, np.ndarray]:
        """Write one day's search, and return its final α and β."""
        ends = np.tile([[0.30, 0.24, 0.05, 0.21, 0.20], [0.10, 0.26, 0.04, 0.35, 0.25]], (self.blocks, 1, 1)).swapaxes(
            0, 1
        )
        ends[..., 0] += 0.004 * (day - 1)
        ends[..., 1] -= 0.004 * (day - 1)
        share = np.linspace(0, 1, 18)[:, None, None, None]
        alpha, beta = np.moveaxis(0.2 + (ends - 0.2) * share, 1, 0)
        result = {"rows": 1200, "steps": 18, "seconds": 3.0, "rows_per_second": 400.0, "ne": [1.2, 1.1, 0.95, 0.9]}
        folder = self.write_result("search", f"day_{day:02d}", result)
        points = {
            "step": pa.array(range(1, 19), pa.int32()),
            "alpha": pa.array([row.ravel().tolist() for row in alpha], pa.list_(pa.float32())),
            "beta": pa.array([row.ravel().tolist() for row in beta], pa.list_(pa.float32())),
            "loss_w": pa.array(np.linspace(0.7, 0.5, 18), pa.float32()),
            "expected_macs": pa.array(np.linspace(1.5e6, 1.2e6 + 1e4 * day, 18), pa.float32()),
        }
        pq.write_table(pa.table(points), folder / "trajectory.parquet")
        return alpha[-1], beta[-1]

    def write_aggregate(self, alpha: np.ndarray, beta: np.ndarray) -> None:
        """Write mean and spread of (days, N, 5) weights, and the architecture at θ = 0.2."""
        folder = self.write_result("aggregate", "all", {"days": list(range(1, self.days + 1))}, seconds=0.1)
        sides = {"alpha": alpha.mean(axis=0), "beta": beta.mean(axis=0)}
        sides |= {"alpha_spread": alpha.std(axis=0, ddof=1), "beta_spread": beta.std(axis=0, ddof=1)}
        modules = {"dense_modules": list(DENSE_MODULES), "sparse_modules": list(SPARSE_MODULES)}
        content = {"days": list(range(1, self.days + 1)), **modules, **{k: v.tolist() for k, v in sides.items()}}
        write_yaml(folder / "aggregate.yaml", content)
        kept = {
            name: [[m for m, w in zip(known, row) if w >= 0.2] for row in sides[side]]
            for name, side, known in (("dense", "alpha", DENSE_MODULES), ("sparse", "beta", SPARSE_MODULES))
        }
        write_yaml(folder / "architecture_t0.2.yaml", {"theta": 0.2, **kept})

    def write_next_days(self) -> None:
        """Write recurring training of three models: on day t, DLRM has AUC 0.7 + t/1000, DCN-v2 0.01 more."""
        tree = self.config.to_dict()
        tree["train"]["recurring"] = ["distdnas", "dcnv2", "dlrm"]
        write_yaml(self.path / "config.yaml", tree)
        for name, title, gain in (
            ("distdnas_t0.2_m1", "DistDNAS (θ=0.2, M=1)", 0.02),
            ("dcnv2", "DCN-v2", 0.01),
            ("dlrm", "DLRM", 0.0),
        ):
            days = [
                {"test_day": day, "trained_days": day - 1, "auc": 0.7 + day / 1000 + gain, "ne": 0.9 * (1 - gain / 2)}
                for day in range(2, self.days + 3)
            ]
            self.write_result("recurring", name, {"title": title, "state": "done", "days": days})

    def write_model(
        self, name: str, title: str, *, macs: int, interactions: int, auc: float, error: float, ne: float
    ) -> None:
        rows = 1200 * (self.days + 1)
        result = {
            "title": title, "state": "done", "macs": macs, "interaction_parameters": interactions,
            "embedding_parameters": 280_800,
            "rows": rows, "train_seconds": 12.5, "rows_per_second": rows / 12.5, "test_day": self.days + 2,
            "test_rows": 1200, "clicks": 258, "auc": auc, "auc_standard_error": error, "logloss": ne * 0.52,
            "logloss_standard_error": 0.009, "ne": ne, "ne_standard_error": 0.017, "calibration": 1.04,
            "calibration_standard_error": 0.05,
        }  # fmt: skip
        folder = self.write_result("train", name, result, seconds=13.0)
        step = np.arange(1, rows // 32 + 1)
        loss = 0.5 + 0.19 * np.exp(-step / 30) + 0.05 * np.random.default_rng(len(name)).normal(size=len(step))
        day = np.minimum((step - 1) * 32 // 1200 + 1, self.days + 1)
        table = {"step": step.astype(np.int32), "day": day.astype(np.int32), "loss": loss.astype(np.float32)}
        pq.write_table(pa.table(table), folder / "trajectory.parquet")


def synthetic_study(path: Path) -> Path:
    """Write a study of three strategies with two seeds, whose NE differ by 0.02 between seeds; return its folder."""
    strategies = ["distdnas", "one_shot", "supernet"]
    study = SyntheticRun(path)
    tree = read_yaml(path / "config.yaml")
    write_yaml(path / "config.yaml", {**tree, "study": {"strategies": strategies, "seeds": [1, 2]}})
    for folder in ("search", "aggregate", "train"):
        shutil.rmtree(path / folder)
    (path / "study").mkdir()
    for k, strategy in enumerate(strategies):
        for seed in (1, 2):
            name = f"{strategy}{'' if strategy == 'supernet' else '_g0.004'}_s{seed}"
            run = SyntheticRun(path / "study" / name).become(
                strategy, seed=seed, ne=0.90 + 0.03 * k + 0.02 * (seed - 1)
            )
            if k == 0:  # published models are trained once a seed, beside the first strategy
                run.write_ne("dlrm", 0.96)
            else:
                run.leave_out_published()
            write_report(run.path)
    return study.path


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    return SyntheticRun(tmp_path / "quickstart")
