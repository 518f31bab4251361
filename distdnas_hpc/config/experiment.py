"""One experiment: every part of the config as one tree."""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from distdnas_hpc.config.cluster import Cluster
from distdnas_hpc.config.data import Data
from distdnas_hpc.config.model import Checkpoint, Model, Optimizer
from distdnas_hpc.config.planted import Planted
from distdnas_hpc.config.search import Cost, Search
from distdnas_hpc.config.section import Section
from distdnas_hpc.config.study import Strategy, Study
from distdnas_hpc.config.train import Train

NO_PART = ("run", "prepared", "study", "cluster", "checkpoint", "tensorboard")
"""Keys that decide no result: where the run and its data live, what else is compared, where tasks run, and so on."""


class Config(Section):
    """One experiment."""

    run: Path = Field(description="the run folder; holds everything of this experiment")
    seed: int = Field(1, ge=0)
    strategy: Strategy = Field("distdnas", description="how the architecture is found, see docs/study.md")
    prepared: Path | None = Field(
        None, description="run folder whose shards and cost importance are used; default: the run makes its own"
    )
    study: Study | None = Field(None, description="what 'distdnas study' compares")
    data: Data
    planted: Planted | None = Field(None, description="how 'distdnas planted' writes the raw days; default: it doesn't")
    model: Model = Model()
    optimizer: Optimizer = Optimizer()
    cost: Cost = Cost()
    search: Search
    train: Train
    checkpoint: Checkpoint = Checkpoint()
    cluster: Cluster = Cluster()
    tensorboard: bool = Field(False, description="whether tasks write TensorBoard's event files beside their results")

    @model_validator(mode="before")
    @classmethod
    def _strategy_decides(cls, tree: Any) -> Any:
        """Spell out what a strategy means for other keys, so that the tree holds what is done."""
        search = tree.get("search") if isinstance(tree, dict) else None
        if not isinstance(search, dict):
            return tree
        if tree.get("strategy") == "distributed":
            return {**tree, "search": {"gamma": 0.0, **search}}
        if tree.get("strategy") == "fresh":
            try:
                last = max(Search.model_validate({"days": search.get("days")}).days)
            except ValidationError:
                return tree  # told when the section is read
            return {**tree, "search": {**search, "days": last, "min_days": None}}
        return tree

    @model_validator(mode="after")
    def _distributed_has_no_gamma(self) -> "Config":
        if self.strategy == "distributed" and self.search.gamma:
            raise ValueError("strategy 'distributed' means γ = 0: remove search.gamma, or set strategy to distdnas")
        return self

    @model_validator(mode="after")
    def _days_exist(self) -> "Config":
        for key, last in (("search.days", max(self.search.days)), ("train.test_day", self.train.test_day)):
            if last > self.data.days:
                raise ValueError(f"{key} names day {last}, but data.days says there are {self.data.days}")
        return self

    @model_validator(mode="after")
    def _planted_fits(self) -> "Config":
        if self.planted is not None:
            schema = self.data.schema_
            if schema.format != "tsv" or "{day}" not in self.data.raw:
                raise ValueError(
                    "planted days are Criteo's text, a file each: set data.schema to criteo, and {day} in data.raw"
                )
            if self.planted.columns > min(schema.dense, schema.sparse):
                raise ValueError(
                    f"planted.columns ({self.planted.columns}) is more than there are dense ({schema.dense}) or sparse "
                    f"({schema.sparse}) columns"
                )
        return self

    @property
    def prepared_folder(self) -> Path:
        """Folder of the shards and their manifest: this run's, or that of the run that prepared them."""
        return (self.prepared or self.run) / "prepared"

    def seed_of(self, *names: str) -> int:
        """Return a 32-bit seed of its own for one use of randomness, e.g. ('search', 'day_03')."""
        return zlib.crc32("/".join((str(self.seed), *names)).encode())

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain YAML values, every default spelled out."""
        return self.model_dump(mode="json", by_alias=True)

    def experiment(self) -> dict[str, Any]:
        """Return what decides results.

        That is everything but what `NO_PART` names, which models are compared (no model's result depends on others),
        and how many days are enough: which days there are is told by the aggregate.
        """
        tree = {key: value for key, value in self.to_dict().items() if key not in NO_PART}
        tree["train"] = {key: value for key, value in tree["train"].items() if key not in ("baselines", "recurring")}
        tree["search"] = {key: value for key, value in tree["search"].items() if key != "min_days"}
        return tree

    def fingerprint(self) -> str:
        """16 hexadecimal digits that are equal exactly when `experiment()` is."""
        return hashlib.sha256(json.dumps(self.experiment(), sort_keys=True).encode()).hexdigest()[:16]
