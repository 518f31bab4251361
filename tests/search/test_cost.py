"""The cost model: exact MACs, the forest, importances."""

import numpy as np
import pytest
import torch

from distdnas_hpc.config import Config, Model
from distdnas_hpc.progress import Progress
from distdnas_hpc.search.cost import (
    CostImportance,
    cost_importance,
    count_modules,
    sample_architectures,
    spread,
)

CPU = torch.device("cpu")


def config(**settings) -> Config:
    return Config.model_validate(
        {
            "run": "unused",
            "data": {"schema": "criteo", "raw": "day_{day}", "days": 2},
            "model": {"blocks": 3, "dim_d": 32, "dim_s": 8, "n_s": 8, "merged": 4, "heads": 2},
            "cost": {"latency_weight": 0, **settings},
            "search": {"days": 1},
            "train": {"days": 1, "test_day": 2, "warmup_days": 0},
        }
    )


@pytest.fixture(scope="module")
def importance() -> CostImportance:
    return cost_importance(config(), 13, 26, CPU, Progress(None))


def test_samples_keep_half_of_the_modules_and_at_least_one_a_side():
    keep = sample_architectures(4000, 3, np.random.default_rng(2))
    assert keep.shape == (4000, 3, 10)
    assert keep.reshape(-1, 5).any(axis=1).all()
    assert keep.mean() == pytest.approx(0.5 + 1 / 32 / 5, abs=0.01)  # of 32 sides one would be empty and is given one


def test_the_forest_explains_cost(importance):
    assert importance.r2 >= 0.9


def test_importances_are_scaled_and_shared_among_later_blocks(importance):
    both = np.concatenate([importance.dense, importance.sparse], axis=1)
    assert both.shape == (3, 10)
    assert both.max() == 1
    assert both.min() >= 0
    assert (both[1] == both[2]).all()
    assert (both[0] != both[1]).any()


def test_importance_grows_as_the_variance_that_a_module_causes(importance):
    """Keeping a module or not at even odds moves the cost with variance MACs²/4; without noise nothing else matters."""
    both = np.concatenate([importance.dense, importance.sparse], axis=1)
    variance = importance.macs.modules.astype(float) ** 2
    assert both == pytest.approx(variance / variance.max(), abs=0.1)
    assert np.corrcoef(both.ravel(), variance.ravel())[0, 1] > 0.98
    assert importance.macs.modules[0, 0] == 0, "identity needs no projection in block 1"
    assert both[0, 0] < 0.001


def test_features_are_the_first_block_and_counts_of_the_later_ones():
    keep = np.zeros((1, 4, 10), dtype=bool)
    keep[0, 0, 3] = keep[0, 1, 7] = keep[0, 3, 7] = True
    expected = np.zeros(20)
    expected[3], expected[17] = 1, 2
    assert (count_modules(keep)[0] == expected).all()


def test_a_counts_importance_is_divided_among_its_blocks():
    importance = np.zeros(20)
    importance[0], importance[11], importance[12] = 4.0, 3.0, -1.0
    expected = np.zeros((4, 10))
    expected[0, 0], expected[1:, 1] = 1.0, 0.25
    assert (spread(importance, blocks=4) == expected).all()
    assert spread(np.arange(20.0), blocks=1).shape == (1, 10)


def test_equal_seeds_give_equal_importances(importance):
    again = cost_importance(config(), 13, 26, CPU, Progress(None))
    assert again.to_dict() == importance.to_dict()


def test_survives_yaml(importance):
    again = CostImportance.from_dict(importance.to_dict())
    assert again.to_dict() == importance.to_dict()
    assert importance.to_dict()["macs_full"] == importance.macs.of(np.ones((3, 10)))


def test_latency_is_measured_and_mixed_in(caplog):
    """What is measured is nobody's to predict; that it is part of the cost is, and that its sums explain networks."""
    caplog.set_level("INFO")
    mixed, exact = (
        cost_importance(config(samples=200, latency_weight=weight, latency_batch=64), 13, 26, CPU, Progress(None))
        for weight in (0.5, 0)
    )
    assert (mixed.dense != exact.dense).any()
    assert mixed.to_dict()["macs_modules"] == exact.to_dict()["macs_modules"]
    assert max(mixed.dense.max(), mixed.sparse.max()) == 1
    assert mixed.r2 >= 0.9
    assert "sums of modules meet it to within" in caplog.text
    assert f"cost model of 200 architectures: held-out R² {mixed.r2:.3f}" in caplog.text


def test_a_few_hundred_samples_explain_the_papers_supernet():
    """Deep trees needed thousands; see the module's docstring."""
    papers = config(samples=300).model_copy(update={"model": Model()})
    assert cost_importance(papers, 13, 26, CPU, Progress(None)).r2 >= 0.9
