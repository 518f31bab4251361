"""docs/evidence.md: its commands work as written, on few rows; its configs are what it says."""

import contextlib
import io
import json
import re
import runpy
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from distdnas_hpc.config import load_config
from distdnas_hpc.nn.architecture import DENSE_MODULES, SPARSE_MODULES
from distdnas_hpc.storage import read_yaml
from tests import docs
from tests.shrunk import ROOT

PAGE = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
COMMANDS = docs.commands_of(PAGE)
SMALL = {
    "planted": {"rows": 400, "click_rate": 0.3},
    "data": {"days": 3},
    "model": {"blocks": 1},
    "cost": {"samples": 20, "trees": 5},
    "search": {"days": 1, "batch_size": 100},
    "train": {"days": "1-2", "test_day": 3},
    "study": {"seeds": 1},
    "cluster": {"executor": "inline"},
}
"""Three days of 400 rows, one block, one seed, no other process."""
SMALL_MOVIELENS = {
    "model": {"blocks": 1},
    "cost": {"samples": 20, "trees": 5},
    "search": {"days": 1, "batch_size": 10},
    "train": {"days": "1-2", "test_day": 10},
    "study": {"strategies": ["distdnas"], "seeds": 1, "baselines": []},
    "cluster": {"executor": "inline"},
}


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, str]:
    """What each of the page's commands printed, in a checkout with shrunk configs."""
    folder = tmp_path_factory.mktemp("evidence")
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copytree(ROOT / "benchmarks/evidence/results", folder / "benchmarks/evidence/results")
    (folder / "docs").mkdir()
    (folder / "docs/evidence.md").write_text(PAGE, encoding="utf-8")
    for name, small in (("planted_products", SMALL), ("study_movielens", SMALL_MOVIELENS)):
        path = folder / f"configs/{name}.yaml"
        tree = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump(tree | {section: tree[section] | keys for section, keys in small.items()}))
    return {"folder": str(folder)} | {" ".join(command): _run(command, folder) for command in COMMANDS}


def _run(command: list[str], folder: Path) -> str:
    if command[0] == "distdnas":
        done = docs.run(command, folder)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout
    assert command[:2] == ["python", "-m"]
    more = ["--wheel", _write_wheel(folder)] if command[2].endswith("movielens") else []
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(folder)
        patch.setattr(sys, "argv", [*command[2:], *more])
        patch.delitem(sys.modules, command[2], raising=False)  # other tests may have imported it
        runpy.run_module(command[2], run_name="__main__")
    return printed.getvalue()


def _write_wheel(folder: Path) -> str:
    """Write a wheel of two users' ratings of three films, 20 in each tenth of the time, in the form of recbole's."""
    times = range(200)
    ratings = "".join(f"{i % 2}\t{i % 3}\t{1 + i * i % 5}\t{i * 100}\n" for i in times)
    users = "0\t24\tM\tx\t85711\n1\t53\tF\ty\t9\n"
    films = "".join(f"{i}\tt\t199{i}\tDrama War\n" for i in range(3))
    tables = {
        "user": f"user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n{users}",
        "item": f"item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n{films}",
        "inter": f"user_id:token\titem_id:token\trating:float\ttimestamp:float\n{ratings}",
    }
    with zipfile.ZipFile(folder / "recbole.whl", "w") as file:
        for name, text in tables.items():
            file.writestr(f"recbole/dataset_example/ml-100k/ml-100k.{name}", text)
    return str(folder / "recbole.whl")


def test_planted_days_are_told_with_what_is_best(told):
    folder = Path(told["folder"])
    truths = [read_yaml(folder / f"planted/products/day_{number}.tsv.gz.truth.yaml") for number in range(3)]
    assert json.loads(told["distdnas planted configs/planted_products.yaml --json"]) == truths
    for truth in truths:
        assert f"{truth['bayes']['auc']:.4f}" in told["distdnas planted configs/planted_products.yaml"]
    assert "DistDNAS" in told["distdnas run configs/planted_products.yaml"]


def test_a_study_tells_what_is_found_beside_published_models(told):
    table = told["distdnas study configs/planted_products.yaml"]
    for name in ("DistDNAS", "Logistic regression", "DLRM", "DCN-v2"):
        assert name in table


def test_results_hold_what_the_study_found(told):
    folder = Path(told["folder"])
    results = json.loads((folder / "benchmarks/evidence/results/planted_products.json").read_text())
    run = folder / "runs/planted_products/study/distdnas_g0.004_s1"
    trained = read_yaml(run / "train/dlrm/result.yaml")
    [dlrm] = [row for row in results["models"] if row["strategy"] == "DLRM"]
    assert (dlrm["seed"], dlrm["macs"], dlrm["auc"]) == (1, trained["macs"], round(trained["auc"], 6))
    [found] = [row for row in results["models"] if row["strategy"] == "distdnas"]
    assert (found["gamma"], found["theta"], found["copies"]) == (0.004, 0.2, 1)
    weights = read_yaml(run / "search/day_01/architecture.yaml")
    day = [alpha + beta for alpha, beta in zip(weights["alpha"], weights["beta"])]
    assert results["searches"][0]["days"] == [[[round(weight, 4) for weight in block] for block in day]]
    assert results["searches"][0]["steps"] == [read_yaml(run / "search/day_01/result.yaml")["steps"]]
    assert results["bayes"] == read_yaml(folder / "planted/products/day_2.tsv.gz.truth.yaml")["bayes"]


def test_tables_are_made_anew_from_them(told):
    page = (Path(told["folder"]) / "docs/evidence.md").read_text(encoding="utf-8")
    assert page != PAGE
    marks = re.compile(r"<!-- .*? -->\n.*?<!-- end -->", re.DOTALL)
    assert marks.sub("", page) == marks.sub("", PAGE)  # nothing else is touched


def test_networks_of_chance_cost_what_the_found_one_does(told):
    folder = Path(told["folder"])
    [chance] = json.loads((folder / "benchmarks/evidence/results/study_movielens_chance.json").read_text())["models"]
    found = read_yaml(folder / "runs/study_movielens/study/distdnas_g0.004_s1/train/distdnas_t0.2_m1/result.yaml")
    assert abs(chance["macs"] / found["macs"] - 1) <= 0.1


def test_each_module_is_tried_alone(told):
    results = Path(told["folder"]) / "benchmarks/evidence/results"
    models = json.loads((results / "planted_products_alone.json").read_text())["models"]
    assert [row["strategy"] for row in models] == [*DENSE_MODULES, *SPARSE_MODULES]


def test_each_of_gamma_blocks_theta_and_copies_is_varied_alone(told):
    results = Path(told["folder"]) / "benchmarks/evidence/results"
    models = json.loads((results / "planted_products_ablation.json").read_text())["models"]
    base = {"gamma": 0.004, "blocks": 1, "theta": 0.2, "copies": 1}
    values = {"gamma": [0, 0.004, 0.04], "blocks": [1, 2, 3], "theta": [0.15, 0.2, 0.25, 0.3], "copies": [1, 2, 3, 4]}
    assert [({key: row[key] for key in base}, row["of"]) for row in models] == [
        (base | {of: value}, of) for of, of_it in values.items() for value in of_it
    ]
    [found] = [
        row
        for row in json.loads((results / "planted_products.json").read_text())["models"]
        if row["strategy"] == "distdnas"
    ]
    for row in models:
        if row[row["of"]] == base[row["of"]]:  # the study's own network, not one trained again
            assert found.items() <= row.items()
    of_copies = [row for row in models if row["of"] == "copies"]
    assert [row["macs"] / found["macs"] for row in of_copies] == [1, 2, 3, 4]
    assert {row["kept"] for row in of_copies} == {of_copies[0]["kept"]}


def test_the_study_of_movielens_reads_what_is_fetched(told):
    assert "200 rows" in told["python -m benchmarks.evidence.movielens"]
    assert "DistDNAS" in told["distdnas study configs/study_movielens.yaml"]


def test_every_config_that_the_page_names_is_there_and_plants_what_it_says():
    named = {name: part for part, name in re.findall(r"^\| `(\w+)` .*`(planted_\w+\.yaml)` \|$", PAGE, re.M)}
    assert len(named) == 4
    for name, part in named.items():
        assert list(yaml.safe_load((ROOT / "configs" / name).read_text())["planted"]["parts"]) == [part]
    assert len(yaml.safe_load((ROOT / "configs/planted_mixture.yaml").read_text())["planted"]["parts"]) == 4
    for name in re.findall(r"configs/(\w+\.yaml)", PAGE):
        assert load_config(ROOT / "configs" / name).study is not None
