"""Strategies of search, and which of them a study compares."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from distdnas_hpc.config.section import OneOrMore, Section
from distdnas_hpc.config.train import Baseline

Strategy = Literal["distdnas", "distributed", "one_shot", "fresh", "supernet"]
"""How an architecture is found (paper, Table II): a search a day with γ, or without (γ = 0); one search over all days;
one of the last day; none, every module is kept."""


class Study(Section):
    """Runs of every strategy with each γ and each seed; θ and M are those of `search.theta` and `train.copies`."""

    strategies: tuple[Strategy, ...] = Field(("distdnas", "distributed", "one_shot", "fresh", "supernet"), min_length=1)
    gamma: OneOrMore[Annotated[float, Field(ge=0)]] | None = Field(
        None, description="γ of the strategies that have one; default: search.gamma"
    )
    seeds: OneOrMore[Annotated[int, Field(ge=0)]] | None = Field(None, description="default: the config's seed")
    baselines: tuple[Baseline, ...] = Field(
        (), description="published models trained beside, with each seed, in the run of the first strategy and γ"
    )

    @field_validator("strategies")
    @classmethod
    def _each_once(cls, strategies: tuple[Strategy, ...]) -> tuple[Strategy, ...]:
        if len(set(strategies)) < len(strategies):
            raise ValueError(f"a strategy is named twice in {', '.join(strategies)}")
        return strategies
