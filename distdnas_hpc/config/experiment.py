"""One experiment: every part of the config as one tree."""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from distdnas_hpc.config.cluster import Cluster
from distdnas_hpc.config.data import Data
from distdnas_hpc.config.model import Checkpoint, Model, Optimizer
from distdnas_hpc.config.search import Cost, Search
from distdnas_hpc.config.section import Section
from distdnas_hpc.config.train import Train


class Config(Section):
    """One experiment."""

    run: Path = Field(description="the run folder; holds everything of this experiment")
    seed: int = Field(1, ge=0)
    data: Data
    model: Model = Model()
    optimizer: Optimizer = Optimizer()
    cost: Cost = Cost()
    search: Search
    train: Train
    checkpoint: Checkpoint = Checkpoint()
    cluster: Cluster = Cluster()

    @model_validator(mode="after")
    def _days_exist(self) -> "Config":
        for key, last in (("search.days", max(self.search.days)), ("train.test_day", self.train.test_day)):
            if last > self.data.days:
                raise ValueError(f"{key} names day {last}, but data.days says there are {self.data.days}")
        return self

    def seed_of(self, *names: str) -> int:
        """Return a 32-bit seed of its own for one use of randomness, e.g. ('search', 'day_03')."""
        return zlib.crc32("/".join((str(self.seed), *names)).encode())

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain YAML values, every default spelled out."""
        return self.model_dump(mode="json", by_alias=True)

    def experiment(self) -> dict[str, Any]:
        """Return what decides results.

        That is everything but where the run lives, where its tasks run, how they resume, and which models are compared:
        no model's result depends on the others.
        """
        tree = {key: value for key, value in self.to_dict().items() if key not in ("run", "cluster", "checkpoint")}
        tree["train"] = {key: value for key, value in tree["train"].items() if key not in ("baselines", "recurring")}
        return tree

    def fingerprint(self) -> str:
        """16 hexadecimal digits that are equal exactly when `experiment()` is."""
        return hashlib.sha256(json.dumps(self.experiment(), sort_keys=True).encode()).hexdigest()[:16]
