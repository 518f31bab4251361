"""Models by name."""

import pytest
import torch

from distdnas_hpc.config import Config
from distdnas_hpc.config.train import BASELINES
from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.train.models import build_network, title


def small_config(*, copies: int = 1, theta: float = 0.2) -> Config:
    return Config.model_validate(
        {
            "run": "unused",
            "data": {"schema": {"dense": 2, "sparse": 3}, "raw": "day_{day}", "days": 2},
            "model": {"blocks": 2, "dim_d": 16, "dim_s": 8, "n_s": 4, "merged": 2, "heads": 2}
            | {"baseline_width": 16, "baseline_layers": 2},
            "search": {"days": 1, "theta": theta},
            "train": {"days": 1, "test_day": 2, "warmup_days": 0, "copies": copies},
        }
    )


ARCHITECTURE = Architecture(dense=(("linear",), ("crossnet", "pin")), sparse=(("pma",), ("identity3d",)))


@pytest.mark.parametrize("name", ["distdnas", *BASELINES])
def test_every_name_builds_a_network_that_gives_a_logit_a_row(name):
    network = build_network(name, small_config(), 2, 3, ARCHITECTURE)
    assert network(torch.randn(5, 2), torch.randn(5, 3, 8)).shape == (5,)


def test_copies_of_the_config_reach_the_network():
    sizes = [
        sum(p.numel() for p in build_network("distdnas", small_config(copies=m), 2, 3, ARCHITECTURE).parameters())
        for m in (1, 2, 3)
    ]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0


def test_titles_name_theta_and_m():
    assert title("distdnas", small_config(copies=4, theta=0.25)) == "DistDNAS (θ=0.25, M=4)"
    assert title("distdnas", small_config()) == "DistDNAS (θ=0.2, M=1)"
    assert title("dlrm", small_config()) == "DLRM"


def test_distdnas_without_an_architecture_is_refused():
    with pytest.raises(UserError, match="needs an architecture"):
        build_network("distdnas", small_config(), 2, 3, None)


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(UserError, match="'wide_and_deep'; known: distdnas, logistic_regression, wide_deep, dlrm"):
        build_network("wide_and_deep", small_config(), 2, 3, None)
    with pytest.raises(UserError, match="'wide_and_deep'; known: distdnas, logistic_regression, wide_deep, dlrm"):
        title("wide_and_deep", small_config())
