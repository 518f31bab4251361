"""Dimensions of networks, and how their weights are trained."""

from typing import Literal

from pydantic import Field, model_validator

from distdnas_hpc.config.section import Section


class Model(Section):
    """Dimensions of the interaction networks (paper §III-A, §V-A)."""

    blocks: int = Field(7, ge=1, description="N, the number of choice blocks")
    dim_d: int = Field(256, ge=1, description="width of a dense output")
    dim_s: int = Field(16, ge=1, description="embedding dimension")
    n_s: int = Field(16, ge=1, description="N_s, vectors in a sparse output")
    merged: int = Field(8, ge=1, description="extra sparse vectors made by a block's dense-to-sparse merger")
    heads: int = Field(4, ge=1, description="attention heads of transformer and pma")
    baseline_width: int = Field(512, ge=1, description="units of the baselines' MLP layers")
    baseline_layers: int = Field(7, ge=1, description="MLP layers above the baselines' interactions")

    @model_validator(mode="after")
    def _heads_divide(self) -> "Model":
        if self.dim_s % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide dim_s ({self.dim_s})")
        return self


class Optimizer(Section):
    """How w is trained (paper §V-A): exact Adagrad for embeddings, Adam for everything else, no weight decay."""

    embedding_lr: float = Field(0.04, gt=0)
    embedding_backend: Literal["rows", "fbgemm"] = Field(
        "rows",
        description="what updates embeddings on CPUs: this package's kernel, or fbgemm's if it is installed; equal but "
        "for rounding",
    )
    dense_lr: float = Field(0.001, gt=0)
    precision: Literal["float32", "tf32", "bf16"] = Field(
        "float32",
        description="of products on a GPU: tf32 rounds factors to 10 bits, bf16 (autocast) to 7; weights and sums "
        "stay float32, and CPUs compute in float32 in any case",
    )
    clip_norm: float | None = Field(
        None, gt=0, description="longest gradient of the network (not of embeddings), by its global norm; null: any"
    )
    divergence: float = Field(
        5.0, gt=1, description="stop when LogLoss exceeds so many times log 2, what answering 1/2 to every row costs"
    )


class Checkpoint(Section):
    """When search and training tasks write what their next attempt goes on from. Not part of the experiment.

    At the paper's size one takes 3.6 GB, of which a task keeps two: 24 tasks at a time write 150 MB/s on average.
    """

    minutes: float | None = Field(10.0, gt=0, description="between two; null: not by the clock")
    steps: int | None = Field(None, ge=1, description="also after every so many steps")

    @property
    def wanted(self) -> bool:
        """Whether any are written, other than when told to stop."""
        return self.minutes is not None or self.steps is not None
