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
    assert (config.train.warmup_days, config.train.copies, config.data.max_rows) == (2, (1,), 5_000_000)
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
        (
            ("  days: 3", "  days: 3\n  row_per_day: 4"),
            "line 6: unknown key 'data.row_per_day'; did you mean 'rows_per_",
        ),
        (("run:", "seeds: 2\nrun:"), "line 1: unknown key 'seeds'; did you mean 'seed'?"),
        (("  days: 3", "  days: three"), "line 5: 'data.days' is 'three' but should be a valid integer"),
        (("  days: 3", "  days: 0"), "line 5: 'data.days' is 0 but should be greater than or equal to 1"),
        (("  test_day: 3\n", ""), "line 8: the key 'train.test_day' is missing; add it."),
        (("  test_day: 3", "  test_day: 2"), "line 8: train: test_day (2) must come after the last training day (2)."),
        (("  test_day: 3", "  test_day: 3\n  baselines: [dlrm, dcn]"), "is 'dcn' but should be 'logistic_regression',"),
        (("  test_day: 3", "  test_day: 3\n  baselines: [dlrm, dlrm]"), "a model is named twice in dlrm, dlrm."),
        (("  test_day: 3", "  test_day: 4"), "train.test_day names day 4, but data.days says there are 3."),
        (("schema: criteo", "schema: avazu"), "line 3: data.schema: no schema is called 'avazu'; known: criteo."),
        (("raw: day_{day}.gz", "raw: all.gz"), "line 2: data: give either 'raw' with {day} in it"),
        (("search:\n  days: 1-2", "search:\n  days: a-b"), "line 7: search.days: days are written like '1-4'"),
        (("search:\n  days: 1-2", "search:\n  days: 1,1"), "line 7: search.days: a day is named twice."),
        (("search:\n", "search:\n  theta: 2\n"), "line 7: 'search.theta' is 2 but should be less than 1."),
        (("search:\n", "search:\n  theta: [0.2, 2]\n"), "line 7: 'search.theta' is 2 but should be less than 1."),
        (("search:\n", "search:\n  theta: []\n"), "line 7: search.theta: at least one value is needed."),
        (("search:\n", "search:\n  theta: [0.2, 0.2]\n"), "line 7: search.theta: a value stands twice."),
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


AVAZU = """\
  schema:
    format: csv
    label: click
    dense: [C15, C16]
    sparse: [site_id, app_id]
  day: {column: hour, characters: 6}
  raw: train.gz
"""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("format: csv", "format: json"), "'data.schema.format' is 'json' but should be 'tsv', 'csv' or 'parquet'"),
        (("format: csv", "formt: csv"), "line 4: unknown key 'data.schema.formt'; did you mean 'format'?"),
        (
            ("format: csv", "format: tsv"),
            "line 3: data.schema: 'label' is for format csv or parquet; remove it, or set",
        ),
        (("    label: click\n", ""), "data.schema: format csv needs 'label', the name of the column with 0 or 1."),
        (("csv", "parquet\n    separator: ';'"), "data.schema: 'separator' is for format csv; remove it."),
        (("csv", "csv\n    separator: ';;'"), "'data.schema.separator' is ';;' but string should have at most 1"),
        (("dense: [C15, C16]", "dense: 0"), "data.schema.dense: give a list of column names or the number of columns"),
        (("dense: [C15, C16]", "dense: []"), "'data.schema.dense' is [] but tuple should have at least 1 item"),
        (
            ("[site_id, app_id]", "[site_id, C15]"),
            "the column 'C15' is named twice among 'label', 'dense' and 'sparse'.",
        ),
        (("characters: 6", "characters: 0"), "'data.day.characters' is 0 but should be greater than or equal to 1"),
        (("characters: 6", "character: 6"), "unknown key 'data.day.character'; did you mean 'characters'?"),
        (("raw: train.gz", "raw: train_{day}.gz"), "line 2: data: give either 'raw' with {day} in it (a file a day), "),
        (("raw: train.gz", "raw: train.gz\n  rows_per_day: 4"), "line 2: data: give either 'raw' with {day} in it"),
        (("raw: train.gz", "raw: train.gz\n  first_file: 4"), "'first_file' is for 'raw' with {day} in it; remove it."),
        (
            ("raw: train.gz", "raw: train.gz\n  overflow: drop"),
            "'data.overflow' is 'drop' but should be 'hash' or 'freq",
        ),
        (("raw: train.gz", "raw: train.gz\n  min_count: 0"), "'data.min_count' is 0 but should be greater than or"),
    ],
)
def test_faults_of_a_schema_are_told_with_key_and_remedy(tmp_path, change, sentence):
    start = SMALLEST.replace("  schema: criteo\n  raw: day_{day}.gz\n", AVAZU)
    load(tmp_path, start)
    assert change[0] in start
    told = refusal(tmp_path, start.replace(*change))
    assert told.startswith("config.yaml, line")
    assert sentence in told


def test_a_day_column_needs_column_names(tmp_path):
    told = refusal(tmp_path, SMALLEST.replace("raw: day_{day}.gz", "raw: log\n  day: {column: hour}"))
    assert "'day' needs columns with names: set schema.format to csv or parquet, or use rows_per_day." in told


def test_columns_are_numbered_or_named(tmp_path):
    numbered = load(tmp_path, SMALLEST.replace("criteo", "{dense: 2, sparse: 3}")).data.schema_
    assert (numbered.dense_names, numbered.sparse_names) == (("I1", "I2"), ("C1", "C2", "C3"))
    named = load(tmp_path, SMALLEST.replace("criteo", "{dense: [a, b], sparse: [c]}")).data.schema_
    assert (named.dense_names, named.sparse_names, named.dense, named.sparse) == (("a", "b"), ("c",), 2, 1)


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
    assert load(tmp_path, SMALLEST + "checkpoint: {minutes: 1, steps: 9}\n").fingerprint() == base
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


def test_distributed_dnas_on_the_terabyte_differs_by_gamma_alone_and_shares_its_shards():
    one, other = (load_config(CONFIGS / f"criteo_terabyte{end}.yaml") for end in ("", "_gamma0"))
    assert other.search == one.search.model_copy(update={"gamma": 0, "theta": (0.2,)})
    assert other.prepared == one.run
    for section in ("data", "model", "optimizer", "cost"):
        assert getattr(one, section) == getattr(other, section)


def test_the_terabyte_config_is_the_papers_setting():
    config = load_config(CONFIGS / "criteo_terabyte.yaml")
    assert config.data.days == 24
    assert config.search.days == tuple(range(1, 23))
    assert config.train.days == tuple(range(1, 24))
    assert config.train.test_day == 24
    assert config.model == type(config.model)()


PROFILE = "threads: 8\nslurm: {partition: long, gres: 'gpu:a5000:1', setup: [module load cuda]}\n"


def write_profile(folder: Path, name: str, text: str) -> None:
    (folder / "clusters").mkdir(exist_ok=True)
    (folder / f"clusters/{name}.yaml").write_text(text)


def test_a_profile_says_what_the_config_leaves_open_about_the_cluster(tmp_path):
    write_profile(tmp_path, "theirs", PROFILE)
    text = SMALLEST + "cluster:\n  profile: theirs\n  slurm: {partition: short}\n"
    cluster = load(tmp_path, text).cluster
    assert (cluster.threads, cluster.slurm.partition, cluster.slurm.gres) == (8, "short", "gpu:a5000:1")
    assert cluster.slurm.setup == ("module load cuda",)
    assert cluster.profile is None, "what is frozen needs no other file"


def test_another_profile_can_be_asked_for(tmp_path):
    write_profile(tmp_path, "theirs", PROFILE)
    write_profile(tmp_path, "ours", "threads: 2\n")
    (tmp_path / "config.yaml").write_text(SMALLEST + "cluster: {profile: theirs}\n")
    assert load_config(tmp_path / "config.yaml", profile="ours").cluster.threads == 2


def test_a_profile_that_is_missing_or_faulty_is_named(tmp_path):
    write_profile(tmp_path, "theirs", "threads: 8\nslurm:\n  partitoin: long\n")
    text = SMALLEST + "cluster: {profile: NAME}\n"
    told = refusal(tmp_path, text.replace("NAME", "nobodys"))
    assert told == "There is no profile clusters/nobodys.yaml; profiles there: theirs."
    told = refusal(tmp_path, text.replace("NAME", "theirs"))
    assert told == "clusters/theirs.yaml, line 3: unknown key 'slurm.partitoin'; did you mean 'partition'?"


@pytest.mark.parametrize(
    ("slurm", "fault"),
    [
        ("sbatch: {mem: 4G}", "the option mem has a key of its own: set mem_gb instead"),
        ("sbatch: {chdir: /tmp}", "the option chdir is set by distdnas itself; remove it"),
        ("time_minutes: 9, max_time_minutes: 8", "max_time_minutes (8) is less than time_minutes"),
        ("mem_gb: 9, max_mem_gb: 8", "max_mem_gb (8) is less than mem_gb (9)"),
    ],
)
def test_what_may_not_be_asked_of_slurm(tmp_path, slurm, fault):
    assert fault in refusal(tmp_path, SMALLEST + f"cluster:\n  slurm: {{{slurm}}}\n")


def test_limits_are_four_times_what_is_asked_for(tmp_path):
    slurm = load(tmp_path, SMALLEST + "cluster:\n  slurm: {time_minutes: 30, mem_gb: 2}\n").cluster.slurm
    assert (slurm.time_limit, slurm.mem_limit) == (120, 8)
    assert load(tmp_path, SMALLEST).cluster.slurm.mem_limit is None


def test_how_many_days_are_enough_is_no_part_of_the_experiment(tmp_path):
    enough = SMALLEST.replace("search:\n", "search:\n  min_days: 1\n")
    assert load(tmp_path, enough).fingerprint() == load(tmp_path, SMALLEST).fingerprint()
