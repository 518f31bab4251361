"""The config tree: defaults, refusals with file, line and key, seeds, fingerprint."""

from pathlib import Path

import pytest
import yaml

from distdnas_hpc.config import SCHEMAS, Config, load_config
from distdnas_hpc.errors import UserError

SMALLEST = """\
run: runs/x
data:
  schema: criteo
  raw: day_{day}.gz
  days: 3
search:
  days: 1-2
train:
  days: 1-2
  test_day: 3
"""
CONFIGS = Path(__file__).parents[1] / "configs"


def load(folder: Path, text: str) -> Config:
    path = folder / "config.yaml"
    path.write_text(text)
    return load_config(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UserError) as caught:
        load(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


def test_what_is_not_said_is_the_papers(tmp_path):
    config = load(tmp_path, SMALLEST)
    assert (config.model.blocks, config.model.dim_d, config.model.dim_s, config.model.n_s) == (7, 256, 16, 16)
    assert (config.optimizer.embedding_lr, config.optimizer.dense_lr) == (0.04, 0.001)
    assert (config.search.batch_size, config.search.gamma, config.search.warmup_steps) == (8192, 0.004, 10_000)
    assert (config.train.warmup_days, config.train.copies, config.data.max_rows) == (2, 1, 5_000_000)
    assert config.data.schema_ == SCHEMAS["criteo"]


def test_paths_become_absolute_and_days_get_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load(tmp_path, SMALLEST)
    assert config.run == tmp_path / "runs/x"
    assert config.data.raw_file(1) == tmp_path / "day_0.gz"  # Criteo's file day_0 is day 1


@pytest.mark.parametrize(
    ("text", "days"), [("1-4", (1, 2, 3, 4)), ("2", (2,)), ("[3, 1]", (1, 3)), ("1-2,4", (1, 2, 4)), ("'3, 1'", (1, 3))]
)
def test_ways_to_write_days(tmp_path, text, days):
    config = load(
        tmp_path, SMALLEST.replace("days: 3", "days: 9").replace("search:\n  days: 1-2", f"search:\n  days: {text}")
    )
    assert config.search.days == days


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("  days: 3", "  days: 3\n  day: 4"), "line 6: unknown key 'data.day'; did you mean 'days'?"),
        (("run:", "seeds: 2\nrun:"), "line 1: unknown key 'seeds'; did you mean 'seed'?"),
        (("  days: 3", "  days: three"), "line 5: 'data.days' is 'three' but should be a valid integer"),
        (("  days: 3", "  days: 0"), "line 5: 'data.days' is 0 but should be greater than or equal to 1"),
        (("  test_day: 3\n", ""), "line 8: the key 'train.test_day' is missing; add it."),
        (("  test_day: 3", "  test_day: 2"), "line 8: train: test_day (2) must come after the last training day (2)."),
        (("  test_day: 3", "  test_day: 4"), "train.test_day names day 4, but data.days says there are 3."),
        (("schema: criteo", "schema: avazu"), "line 3: data.schema: no schema is called 'avazu'; known: criteo."),
        (("raw: day_{day}.gz", "raw: all.gz"), "line 2: data: give either 'raw' with {day} in it"),
        (("search:\n  days: 1-2", "search:\n  days: a-b"), "line 7: search.days: days are written like '1-4'"),
        (("search:\n  days: 1-2", "search:\n  days: 1,1"), "line 7: search.days: a day is named twice."),
        (("search:\n", "search:\n  theta: 2\n"), "line 7: 'search.theta' is 2 but should be less than 1."),
        (("search:\n", "search:\n  min_days: 3\n"), "line 6: search: min_days (3) is more than the 2 days to search."),
        (("run:", "model: {dim_s: 6}\nrun:"), "line 1: model: heads (4) must divide dim_s (6)."),
        (("run: runs/x", "run: runs/x\nrun: y"), "line 2: the key run stands twice (see line 1); remove one."),
        (("run: runs/x", "run: [x"), "not valid YAML"),
    ],
)
def test_faults_are_told_with_line_key_and_remedy(tmp_path, change, sentence):
    assert change[0] in SMALLEST
    told = refusal(tmp_path, SMALLEST.replace(*change))
    assert told.startswith("config.yaml")
    assert sentence in told


def test_every_fault_is_told_at_once(tmp_path):
    told = refusal(tmp_path, SMALLEST.replace("days: 3", "days: x").replace("run:", "rum:")).splitlines()
    assert len(told) == 3  # data.days, the unknown key, the missing one
    assert all(line.startswith("config.yaml") for line in told)


@pytest.mark.parametrize("text", ["", "- 1", "just text"])
def test_what_is_no_mapping_is_refused(tmp_path, text):
    assert "must be a mapping" in refusal(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.yaml does not exist"):
        load_config(tmp_path / "nowhere.yaml")


def test_the_resolved_config_reads_back_equal(tmp_path):
    config = load(tmp_path, SMALLEST)
    again = load(tmp_path, yaml.safe_dump(config.to_dict()))
    assert again == config
    assert again.fingerprint() == config.fingerprint()


def test_the_fingerprint_knows_what_decides_results(tmp_path):
    base = load(tmp_path, SMALLEST).fingerprint()
    assert load(tmp_path, SMALLEST.replace("runs/x", "runs/y")).fingerprint() == base
    assert load(tmp_path, SMALLEST + "cluster: {workers: 7}\n").fingerprint() == base
    assert load(tmp_path, SMALLEST + "seed: 2\n").fingerprint() != base
    assert load(tmp_path, SMALLEST + "model: {dim_d: 128}\n").fingerprint() != base


def test_seeds_differ_by_use_and_by_experiment(tmp_path):
    one, two = load(tmp_path, SMALLEST), load(tmp_path, SMALLEST + "seed: 2\n")
    names = [("search", f"day_{day:02d}") for day in range(1, 25)] + [("cost",), ("train", "dlrm")]
    seeds = {config.seed_of(*name) for config in (one, two) for name in names}
    assert len(seeds) == 2 * len(names)
    assert one.seed_of("cost") == load(tmp_path, SMALLEST).seed_of("cost")
    assert all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_of_the_repository_is_valid(path):
    load_config(path)


def test_the_terabyte_config_is_the_papers_setting():
    config = load_config(CONFIGS / "criteo_terabyte.yaml")
    assert config.data.days == 24
    assert config.search.days == tuple(range(1, 23))
    assert config.train.days == tuple(range(1, 24))
    assert config.train.test_day == 24
    assert config.model == type(config.model)()
