"""The cost model, and one day's DNAS."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distdnas_hpc.config.section import Days, OneOrMore, Section


class Cost(Section):
    """The cost model behind the cost importance s (paper §IV-B)."""

    samples: int = Field(5000, ge=20, description="architectures sampled to fit the forest")
    trees: int = Field(500, ge=1, description="trees of the boosted regression forest")
    latency_weight: float = Field(
        0.5, ge=0, le=1, description="share of measured latency in the cost; 0 = MACs alone, equal for equal seeds"
    )
    latency_batch: int = Field(1024, ge=1, description="rows of the batch whose latency is measured")


class Temperature(Section):
    """λ of the Gumbel softmax, linear from `start` to `end` over the day."""

    start: float = Field(1.0, gt=0)
    end: float = Field(0.5, gt=0)

    def at(self, share: float) -> float:
        """Return λ when `share` (0 to 1) of the day is done."""
        return self.start + (self.end - self.start) * share


class Search(Section):
    """One day's DNAS and the averaging over days (paper §IV)."""

    days: Days = Field(description="days to search, e.g. 1-22")
    min_days: int | None = Field(None, ge=1, description="aggregate when so many days are finished; default: all")
    batch_size: int = Field(8192, ge=1)
    bilevel: Literal["first_order", "second_order", "joint"] = Field(
        "first_order",
        description="how w and the architecture weights take turns: alternating steps, DARTS' unrolled step (twice the "
        "work), or both on every batch",
    )
    architecture_after: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the day's steps in which w alone learns, from all batches, at first",
    )
    gamma: float = Field(0.004, ge=0, description="γ, strength of the cost-aware regularisation")
    temperature: Temperature = Temperature()
    architecture_lr: float = Field(0.001, gt=0, description="Adam learning rate of the logits of A and B")
    warmup_steps: int = Field(10_000, ge=0, description="linear warm-up of every learning rate from 0")
    theta: OneOrMore[Annotated[float, Field(gt=0, lt=1)]] = Field(
        (0.2,), description="θ, the discretization threshold on mean probabilities; several: an architecture each"
    )

    @model_validator(mode="after")
    def _min_days_possible(self) -> "Search":
        if self.min_days is not None and self.min_days > len(self.days):
            raise ValueError(f"min_days ({self.min_days}) is more than the {len(self.days)} days to search")
        return self
