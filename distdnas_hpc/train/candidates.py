"""What final training compares: the discovered network with each θ and M, and the baselines; imports no torch."""

from collections.abc import Iterable
from typing import NamedTuple

from distdnas_hpc.config import Config, Strategy

DISTDNAS = "distdnas"
"""The discovered network's name among models."""


TITLES: dict[Strategy, str] = {
    "distdnas": "DistDNAS",
    "distributed": "Distributed DNAS",
    "one_shot": "One-shot DNAS",
    "fresh": "Freshness DNAS",
    "supernet": "SuperNet",
}
"""Names of the discovered network by how it was found (paper, Table II)."""


class Candidate(NamedTuple):
    """A model to be trained.

    Attributes
    ----------
    task : name of its task.
    model : `DISTDNAS`, or a baseline's name.
    theta, copies : θ and M of the discovered network; None with a baseline.
    """

    task: str
    model: str
    theta: float | None = None
    copies: int | None = None


def candidates(config: Config) -> tuple[Candidate, ...]:
    """Return the models of a config: the discovered network by θ, then by M, and the baselines as they are named."""
    return _of((DISTDNAS, *config.train.baselines), config)


def recurring(config: Config) -> tuple[Candidate, ...]:
    """Return the models of which recurring training is asked for."""
    return _of(config.train.recurring, config)


def architecture_file(theta: float) -> str:
    """Return the name of the file with the architecture that θ keeps."""
    return f"architecture_t{theta:g}.yaml"


def _of(models: Iterable[str], config: Config) -> tuple[Candidate, ...]:
    found = [
        Candidate(f"{DISTDNAS}_t{theta:g}_m{copies}", DISTDNAS, theta, copies)
        for theta in config.search.theta
        for copies in config.train.copies
    ]
    return tuple(each for name in models for each in (found if name == DISTDNAS else [Candidate(name, name)]))
