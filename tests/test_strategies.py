"""What a config's strategy means: for its other keys, for the stages, and for the batches of a search."""

from pathlib import Path

import pytest
import torch
import yaml
from pydantic import ValidationError

from distdnas_hpc import pipeline
from distdnas_hpc.config import Config, load_config
from distdnas_hpc.data.feed import Feed
from distdnas_hpc.search.day import _of_steps
from distdnas_hpc.train.candidates import Candidate
from distdnas_hpc.train.models import title
from tests.cluster.small_stages import small_config
from tests.prepared import prepare, write_day


def config_of(tmp_path, strategy: str, **search) -> Config:
    return small_config(tmp_path / "run", strategy=strategy, search={"days": "1-2", **search})


def stages(config: Config) -> dict[str, tuple]:
    return {stage.name: (stage.tasks, stage.after, stage.required) for stage in pipeline.stages(config)}


def test_distributed_is_without_gamma(tmp_path):
    config = config_of(tmp_path, "distributed")
    assert config.search.gamma == 0
    assert stages(config) == stages(config_of(tmp_path, "distdnas"))
    with pytest.raises(ValidationError, match=r"strategy 'distributed' means γ = 0: remove search\.gamma"):
        config_of(tmp_path, "distributed", gamma=0.004)


def test_fresh_searches_the_last_day(tmp_path):
    config = config_of(tmp_path, "fresh", min_days=2)
    assert (config.search.days, config.search.min_days) == ((2,), None)
    assert stages(config)["search"][0] == ("day_02",)


def test_one_shot_is_one_task(tmp_path):
    found = stages(config_of(tmp_path, "one_shot", min_days=2))
    assert found["search"] == (("all",), ("manifest", "cost"), None)
    assert found["report"][1] == ("train",)


def test_the_supernet_is_not_searched(tmp_path):
    found = stages(config_of(tmp_path, "supernet"))
    assert "search" not in found
    assert found["aggregate"][1] == ("manifest", "cost")


@pytest.mark.parametrize("strategy", ["distdnas", "distributed", "one_shot", "fresh", "supernet"])
def test_what_a_run_folder_keeps_means_the_same_again(strategy, tmp_path):
    config = config_of(tmp_path, strategy)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config.to_dict()))
    assert load_config(tmp_path / "config.yaml") == config


def test_a_fault_in_the_days_is_told_at_its_key(tmp_path):
    with pytest.raises(ValidationError, match=r"search\.days\n.*days are written like '1-4'"):
        config_of(tmp_path, "fresh", days="first")


def test_a_run_on_anothers_shards_makes_none(tmp_path):
    config = small_config(tmp_path / "run", prepared=tmp_path / "other")
    found = stages(config)
    assert list(found) == ["search", "aggregate", "train", "report"]
    assert found["search"][1] == ()
    assert config.fingerprint() == small_config(tmp_path / "run").fingerprint()


def test_a_network_is_named_by_how_it_was_found():
    candidate = Candidate("distdnas_t0.2_m2", "distdnas", 0.2, 2)
    assert title(candidate) == "DistDNAS (θ=0.2, M=2)"
    assert title(candidate, "one_shot") == "One-shot DNAS (θ=0.2, M=2)"
    assert title(candidate, "supernet") == "SuperNet (M=2)"


@pytest.fixture(scope="module")
def feeds(tmp_path_factory) -> dict[int, Feed]:
    """Days of 100 and of 50 rows; in batches of 20: two pairs and one, each with a batch left over for a pair."""
    folder: Path = tmp_path_factory.mktemp("days")
    for day, rows in ((1, 100), (2, 50)):
        write_day(folder / f"day_{day - 1}", day, rows=rows)
    data = {"schema": {"dense": 2, "sparse": 3}, "raw": f"{folder}/day_{{day}}", "days": 2}
    tree = {"run": folder / "run", "data": data, "search": {"days": "1-2"}}
    config = Config.model_validate(tree | {"train": {"days": 1, "test_day": 2, "warmup_days": 0}})
    manifest = prepare(config, folder)
    return {day: Feed(manifest, day, 20, shuffle_seed=day) for day in (1, 2)}


@pytest.mark.parametrize(("bilevel", "steps"), [("joint", [1, 1, 1, 1, 1, 2, 2, 2]), ("first_order", [1, 1, 2])])
def test_days_follow_each_other_from_any_step_on(bilevel, steps, feeds):
    whole = list(_of_steps(feeds, bilevel, 0))
    assert [day for day, _ in whole] == steps
    for done in range(len(steps) + 1):
        rest = list(_of_steps(feeds, bilevel, done))
        assert [day for day, _ in rest] == steps[done:]
        for (_, batches), (_, same) in zip(whole[done:], rest):
            assert all(torch.equal(a.sparse, b.sparse) for a, b in zip(batches, same))
