"""The models that final training compares, by name."""

from torch import nn

from distdnas_hpc.config import Config
from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.baselines.registry import REGISTRY
from distdnas_hpc.nn.network import Network


def build_network(
    name: str, config: Config, dense: int, sparse: int, architecture: Architecture | None = None
) -> nn.Module:
    """Build an interaction network with fresh weights, drawn from torch's default generator: seed it before.

    Parameters
    ----------
    name : 'distdnas' (M = `config.train.copies` copies of `architecture`) or a baseline.
    dense, sparse : columns of each kind in the data.
    architecture : what the search found; only 'distdnas' looks at it.

    Raises
    ------
    UserError : no model has this name, or 'distdnas' without an architecture.
    """
    if name == "distdnas":
        if architecture is None:
            raise UserError("The model 'distdnas' needs an architecture; search and aggregate the days first.")
        return Network(architecture, config.model, dense, sparse, copies=config.train.copies)
    if name in REGISTRY:
        return REGISTRY[name].build(config.model, dense, sparse)
    raise UserError(f"No model is called '{name}'; known: distdnas, {', '.join(REGISTRY)}.")


def title(name: str, config: Config) -> str:
    """Return the name under which tables and figures show a model."""
    if name == "distdnas":
        return f"DistDNAS (θ={config.search.theta:g}, M={config.train.copies})"
    if name in REGISTRY:
        return REGISTRY[name].title
    raise UserError(f"No model is called '{name}'; known: distdnas, {', '.join(REGISTRY)}.")
