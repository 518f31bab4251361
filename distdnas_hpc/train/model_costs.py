"""What every model costs to serve, without training or allocating any: the MACs and Params columns of Table I."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from distdnas_hpc.config import Config, Model
from distdnas_hpc.config.train import BASELINES
from distdnas_hpc.data.criteo_terabyte import CARDINALITIES, DENSE
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.baselines.registry import PAPER_TABLES, REGISTRY
from distdnas_hpc.nn.macs import network_cost
from distdnas_hpc.nn.network import Network
from distdnas_hpc.train.candidates import DISTDNAS, Candidate, candidates
from distdnas_hpc.train.models import build_network, title

SUPERNET = "supernet"
PAPER_DISTDNAS = {
    (0.25, 1): (1.97e6, 453.62e6),
    (0.2, 1): (3.11e6, 454.70e6),
    (0.25, 2): (3.94e6, 455.48e6),
    (0.25, 3): (5.90e6, 457.31e6),
    (0.25, 4): (7.87e6, 459.14e6),
}
"""FLOPS and Params of Table I's discovered networks, by θ and M."""


@dataclass(frozen=True)
class ModelCost:
    """One model.

    Attributes
    ----------
    model : 'supernet', 'distdnas' or a baseline's name; `title` is what people call it.
    macs : of a row's forward pass.
    interaction_parameters : all but the embedding tables.
    paper_macs, paper_interaction_parameters : of Table I, where it has the model and the config has its dimensions.
    """

    model: str
    title: str
    macs: int
    interaction_parameters: int
    paper_macs: float | None
    paper_interaction_parameters: float | None


def model_costs(config: Config, found: Mapping[float, Architecture]) -> list[ModelCost]:
    """Count the supernet, the discovered network of each θ and M, and all baselines, in the config or not.

    Parameters
    ----------
    found : architectures by θ; those that are missing are left out.
    """
    model, dense, sparse = config.model, config.data.schema_.dense, config.data.schema_.sparse
    of_the_paper = is_the_papers(config)
    named = [each for each in candidates(config) if each.model == DISTDNAS and each.theta in found]
    baselines = [Candidate(name, name) for name in BASELINES]

    def supernet() -> Network:
        return Network(Architecture.full(model.blocks), model, dense, sparse)

    cost = network_cost(supernet, dense, sparse, model.dim_s)
    costs = [ModelCost(SUPERNET, "Supernet", cost.macs, cost.parameters, None, None)]
    for each in (*named, *baselines):
        architecture = None if each.theta is None else found[each.theta]
        build = partial(build_network, each, config, dense, sparse, architecture)
        cost = network_cost(build, dense, sparse, model.dim_s)
        macs, parameters = _paper(each) if of_the_paper else (None, None)
        interactions = None if parameters is None else parameters - PAPER_TABLES
        costs.append(ModelCost(each.model, title(each), cost.macs, cost.parameters, macs, interactions))
    return costs


def is_the_papers(config: Config) -> bool:
    """Tell whether networks have the paper's dimensions, so that Table I says what they should cost."""
    schema = config.data.schema_
    return config.model == Model() and (schema.dense, schema.sparse) == (DENSE, len(CARDINALITIES))


def _paper(candidate: Candidate) -> tuple[float | None, float | None]:
    if candidate.theta is not None and candidate.copies is not None:
        return PAPER_DISTDNAS.get((candidate.theta, candidate.copies), (None, None))
    baseline = REGISTRY[candidate.model]
    return baseline.paper_macs, baseline.paper_parameters
