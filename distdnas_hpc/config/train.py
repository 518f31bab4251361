"""Final training and test."""

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from distdnas_hpc.config.section import Days, OneOrMore, Section

Baseline = Literal[
    "logistic_regression",
    "wide_deep",
    "dlrm",
    "deepfm",
    "xdeepfm",
    "autoint",
    "dcnv2",
    "xdeepint",
    "masknet",
    "nasrec_tiny",
    "autoctr_tiny",
]
BASELINES: tuple[str, ...] = get_args(Baseline)
"""Published models by name; `nn.baselines.registry` builds them."""


class Train(Section):
    """Final training and test (paper §V-A)."""

    days: Days = Field(description="days to train on, in order, e.g. 1-23")
    test_day: int = Field(ge=1)
    batch_size: int = Field(8192, ge=1)
    warmup_days: int = Field(2, ge=0, description="linear warm-up of every learning rate over the first days")
    copies: OneOrMore[Annotated[int, Field(ge=1)]] = Field(
        (1,), description="M, copies of the discovered network side by side; several: a model for each θ and M"
    )
    baselines: tuple[Baseline, ...] = Field(("dlrm",), description="published models trained beside it")

    recurring: tuple[Literal["distdnas"] | Baseline, ...] = Field(
        (), description="models that are also tested on each day before they are trained on it (paper, Figure 7)"
    )

    @model_validator(mode="after")
    def _test_is_unseen(self) -> "Train":
        if self.test_day <= max(self.days):
            raise ValueError(f"test_day ({self.test_day}) must come after the last training day ({max(self.days)})")
        if self.warmup_days > len(self.days):
            raise ValueError(f"warmup_days ({self.warmup_days}) is more than the {len(self.days)} training days")
        return self

    @field_validator("baselines", "recurring")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"a model is named twice in {', '.join(names)}")
        return names
