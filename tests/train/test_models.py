"""Models by name."""

import pytest
import torch

from distdnas_hpc.config import Config
from distdnas_hpc.config.train import BASELINES
from distdnas_hpc.errors import UserError
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.train.candidates import Candidate, candidates
from distdnas_hpc.train.models import build_network, title


def small_config(**train) -> Config:
    return Config.model_validate(
        {
            "run": "unused",
            "data": {"schema": {"dense": 2, "sparse": 3}, "raw": "day_{day}", "days": 2},
            "model": {"blocks": 2, "dim_d": 16, "dim_s": 8, "n_s": 4, "merged": 2, "heads": 2}
            | {"baseline_width": 16, "baseline_layers": 2},
            "search": {"days": 1, "theta": [0.25, 0.2]},
            "train": {"days": 1, "test_day": 2, "warmup_days": 0, **train},
        }
    )


ARCHITECTURE = Architecture(dense=(("linear",), ("crossnet", "pin")), sparse=(("pma",), ("identity3d",)))


def distdnas(copies: int = 1) -> Candidate:
    return Candidate("any", "distdnas", 0.2, copies)


def test_there_is_a_model_for_each_theta_and_m_and_one_for_each_baseline():
    assert candidates(small_config(copies=[1, 4])) == (
        ("distdnas_t0.25_m1", "distdnas", 0.25, 1),
        ("distdnas_t0.25_m4", "distdnas", 0.25, 4),
        ("distdnas_t0.2_m1", "distdnas", 0.2, 1),
        ("distdnas_t0.2_m4", "distdnas", 0.2, 4),
        ("dlrm", "dlrm", None, None),
    )


@pytest.mark.parametrize(
    "candidate", candidates(small_config(copies=[1, 2], baselines=BASELINES)), ids=lambda each: each.task
)
def test_every_candidate_builds_a_network_that_gives_a_logit_a_row(candidate):
    network = build_network(candidate, small_config(), 2, 3, ARCHITECTURE)
    assert network(torch.randn(5, 2), torch.randn(5, 3, 8)).shape == (5,)


def test_copies_reach_the_network():
    sizes = [
        sum(p.numel() for p in build_network(distdnas(m), small_config(), 2, 3, ARCHITECTURE).parameters())
        for m in (1, 2, 3)
    ]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0


def test_titles_name_theta_and_m():
    told = [title(each) for each in candidates(small_config(copies=4))]
    assert told == ["DistDNAS (θ=0.25, M=4)", "DistDNAS (θ=0.2, M=4)", "DLRM"]


def test_distdnas_without_an_architecture_is_refused():
    with pytest.raises(UserError, match="needs an architecture"):
        build_network(distdnas(), small_config(), 2, 3, None)


def test_an_unknown_name_is_told_with_the_known_ones():
    stranger = Candidate("stranger", "stranger")
    with pytest.raises(UserError, match="'stranger'; known: distdnas, logistic_regression, wide_deep, dlrm"):
        build_network(stranger, small_config(), 2, 3, None)
    with pytest.raises(UserError, match="'stranger'; known: distdnas, logistic_regression, wide_deep, dlrm"):
        title(stranger)
