"""benchmarks.evidence.ablation: what it shares with the study that it is about, and that it goes on after Ctrl-C."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from benchmarks.evidence import ablation
from benchmarks.evidence.collect import findings
from distdnas_hpc.config import load_config
from distdnas_hpc.data.planted_days import write_planted_days
from distdnas_hpc.launch import launch_study
from distdnas_hpc.progress import Progress
from distdnas_hpc.search import day
from distdnas_hpc.storage import read_yaml, write_yaml
from distdnas_hpc.train import trainer
from tests.shrunk import ROOT

SMALL = {
    "planted": {"rows": 400, "click_rate": 0.3},
    "data": {"days": 3},
    "model": {"blocks": 2},
    "cost": {"samples": 20, "trees": 5},
    "search": {"days": 1, "batch_size": 100},
    "train": {"days": "1-2", "test_day": 3},
    "study": {"seeds": [1], "baselines": [], "strategies": ["distdnas", "one_shot"]},
    "cluster": {"executor": "inline"},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A config whose study is finished, of two strategies."""
    folder = tmp_path_factory.mktemp("ablation")
    tree = yaml.safe_load((ROOT / "configs/planted_products.yaml").read_text())
    path = folder / "planted.yaml"
    path.write_text(yaml.safe_dump(tree | {section: tree[section] | keys for section, keys in SMALL.items()}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = load_config(path)
    write_planted_days(config, Progress(None))
    launch_study(config, Console(quiet=True), detach=False)
    return config


@pytest.fixture
def config(finished, monkeypatch):
    """The same before any ablation, from the folder that its paths begin in."""
    monkeypatch.chdir(finished.run.parents[1])
    yield finished
    shutil.rmtree(finished.run / "ablation", ignore_errors=True)


@pytest.fixture
def done(monkeypatch):
    """The folders in which this process searched and trained, in order."""
    folders = []

    def counted(function):
        def count(*arguments, **options):
            folders.append(next(str(each) for each in arguments if isinstance(each, Path)))
            return function(*arguments, **options)

        return count

    monkeypatch.setattr(day, "search_day", counted(day.search_day))
    monkeypatch.setattr(trainer, "train_model", counted(trainer.train_model))
    return folders


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["ablation", "planted.yaml", *arguments])
    ablation.main()


def kept():
    return json.loads(Path("benchmarks/evidence/results/planted_ablation.json").read_text())["models"]


def test_only_what_another_value_changes_is_done(config, done, monkeypatch):
    run(monkeypatch, "--only", "gamma", "theta")
    run(monkeypatch, "--only", "copies")  # what is there of others is told again
    folder = config.run / "ablation"
    searched = [str(folder / f"gamma/study/distdnas_g{gamma}_s1/search/day_01") for gamma in ("0", "0.04")]
    assert [each for each in done if "/search/" in each] == searched
    trained = [each for each in done if each.startswith(str(folder / "theta"))]
    # So short a search leaves all weights near 0.2: 0.15 keeps everything, 0.25 and 0.3 the best of each side.
    assert [each.rpartition("_")[0][-5:] for each in trained] == ["t0.15", "t0.25"]
    of_theta = {row["theta"]: row for row in kept() if row["of"] == "theta"}
    assert [of_theta[theta]["kept"] for theta in (0.15, 0.25, 0.3)] == [20, 4, 4]
    assert of_theta[0.25] | {"theta": 0.3} == of_theta[0.3]
    base = [row for row in kept() if (row["gamma"], row["theta"], row["copies"]) == (0.004, 0.2, 1)]
    [found] = [row for row in findings(config)["models"] if row["strategy"] == "distdnas"]
    assert [row["of"] for row in base] == ["gamma", "theta", "copies"]
    assert all(found.items() <= row.items() for row in base)
    assert {row["of"]: len([each for each in kept() if each["of"] == row["of"]]) for row in base} == {
        "gamma": 3,
        "theta": 4,
        "copies": 4,
    }


def test_another_number_of_blocks_has_its_own_costs_on_the_same_shards(config, done, monkeypatch):
    run(monkeypatch, "--only", "blocks")
    for blocks in (1, 2, 3):
        folder = config.run / f"ablation/blocks_{blocks}"
        assert (folder / "prepared").resolve() == (config.run / "prepared").resolve()
        cost = read_yaml(folder / "cost/all/result.yaml")
        assert len(cost["macs_modules"]) == blocks
    names = [f"blocks_{blocks}" for blocks in (1, 1, 3, 3)]  # a search and a training each; of two blocks, none
    assert [name in each for name, each in zip(names, done, strict=True)] == [True] * 4
    assert [(row["blocks"], row["of"]) for row in kept()] == [(1, "blocks"), (2, "blocks"), (3, "blocks")]


def test_the_same_command_goes_on_after_ctrl_c(config, done, monkeypatch):
    train, begun = trainer.train_model, []

    def stopped_in_the_second(*arguments, **options):
        begun.append(arguments)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return train(*arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="the same command goes on"):
        patch.setattr(trainer, "train_model", stopped_in_the_second)
        run(patch, "--only", "copies")
    [first] = done
    written = Path(first, "result.yaml").stat().st_mtime_ns
    run(monkeypatch, "--only", "copies")
    assert [each[-2:] for each in done] == ["m2", "m3", "m4"]
    assert Path(first, "result.yaml").stat().st_mtime_ns == written
    assert [row["copies"] for row in kept()] == [1, 2, 3, 4]
    run(monkeypatch, "--only", "copies")
    assert len(done) == 3  # nothing is left


def test_searches_tell_the_ne_of_their_quarters_where_they_know_it(config):
    runs = config.run / "study"
    searches = {
        "distdnas": runs / "distdnas_g0.004_s1/search/day_01/result.yaml",
        "one_shot": runs / "one_shot_g0.004_s1/search/all/result.yaml",
    }
    for strategy, path in searches.items():
        shift = 0.1 * (strategy == "one_shot")
        told = read_yaml(path)
        write_yaml(path, told | {"ne": [1.00004 - shift, 0.93336 - shift, 0.9 - shift, 0.85 - shift]})
    of = {search["strategy"]: search for search in findings(config)["searches"]}
    assert of["distdnas"]["ne"] == [[1.0, 0.9334, 0.9, 0.85]]
    assert of["one_shot"]["ne"] == [[0.9, 0.8334, 0.8, 0.75]]
    steps = {strategy: [read_yaml(path)["steps"]] for strategy, path in searches.items()}
    assert {strategy: search["steps"] for strategy, search in of.items()} == steps
    told = read_yaml(searches["distdnas"])
    del told["ne"]
    write_yaml(searches["distdnas"], told)
    assert ["ne" in search for search in findings(config)["searches"]] == [False, True]
