"""The models that final training compares, by name."""

from torch import nn

from distdnas_hpc.config import Config, Strategy
from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.baselines.registry import REGISTRY, Baseline
from distdnas_hpc.nn.network import Network
from distdnas_hpc.train.candidates import DISTDNAS, TITLES, Candidate


def build_network(
    candidate: Candidate, config: Config, dense: int, sparse: int, architecture: Architecture | None = None
) -> nn.Module:
    """Build an interaction network with fresh weights, drawn from torch's default generator: seed it before.

    Parameters
    ----------
    candidate : which; of the discovered network, its M copies of `architecture`.
    dense, sparse : columns of each kind in the data.
    architecture : what the search found; baselines don't look at it.

    Raises
    ------
    UserError : no model has this name, or the discovered network's architecture is not given.
    """
    if candidate.model == DISTDNAS:
        if architecture is None:
            raise UserError("The model 'distdnas' needs an architecture; search and aggregate the days first.")
        return Network(architecture, config.model, dense, sparse, copies=candidate.copies or 1)
    return _baseline(candidate.model).build(config.model, dense, sparse)


def title(candidate: Candidate, strategy: Strategy = "distdnas") -> str:
    """Return the name under which tables and figures show a model."""
    if candidate.model == DISTDNAS:
        theta = "" if strategy == "supernet" else f"θ={candidate.theta:g}, "
        return f"{TITLES[strategy]} ({theta}M={candidate.copies})"
    return _baseline(candidate.model).title


def _baseline(name: str) -> Baseline:
    if name not in REGISTRY:
        raise UserError(f"No model is called '{name}'; known: {DISTDNAS}, {', '.join(REGISTRY)}.")
    return REGISTRY[name]
