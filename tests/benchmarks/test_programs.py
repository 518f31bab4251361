"""The benchmarks' programs, shrunk until nothing that they measure means anything: they still run, to their claims.

Peers in environments of their own are not installed here, which a program must survive, and says.
"""

import importlib
import json
import re
from multiprocessing import Pipe

import pytest
import torch

from benchmarks.naive import NaiveSearch
from benchmarks.peers import PeerUnavailableError
from benchmarks.search import paper_config
from distdnas_hpc.config import Config, Model
from distdnas_hpc.data.feed import Feed
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.network import Mixing
from tests.docs import ROOT

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMED = {
    name
    for page in DOCS
    for name in re.findall(r"benchmarks\.(\w+)", page.read_text(encoding="utf-8"))
    if (ROOT / "benchmarks" / f"{name}.py").is_file()
}
SHRUNK_HERE = {"feed", "memory", "prepare", "scaling", "search", "serving", "train"}


def test_every_benchmark_that_a_page_names_is_tried_here():
    assert NAMED == SHRUNK_HERE


@pytest.fixture
def shrunk(monkeypatch):
    """Gives a benchmark with other constants."""

    def shrink(name: str, **constants: object):
        module = importlib.import_module(f"benchmarks.{name}")
        for constant, value in constants.items():
            monkeypatch.setattr(module, constant, value)
        monkeypatch.setattr("sys.argv", [name])
        return module

    return shrink


@pytest.fixture
def no_peers(monkeypatch):
    def unavailable(*_):
        raise PeerUnavailableError("tests install nothing")

    return unavailable


def small_config() -> Config:
    config = paper_config()
    small = Model(blocks=2, dim_d=16, dim_s=16, n_s=4, merged=2, heads=2)
    return config.model_copy(update={"model": small})


def claims(capsys) -> list[str]:
    return [json.loads(line)["claim"] for line in capsys.readouterr().out.splitlines() if line.startswith('{"claim"')]


def test_search(shrunk, tmp_path, one_thread):
    search = shrunk("search", ROUNDS={32: 1}, SQUARE=32)
    config, tables = small_config(), (50,) * 26
    importance = Mixing(*(torch.rand(2, 5) for _ in range(2)))
    batches = search.endless(Feed(search.write_day(tmp_path, 512, tables), 1, 32, shuffle_seed=1))
    ours = search.Ours(config, importance, batches, tables)
    naive = NaiveSearch(config, tables, search.DENSE, importance)
    apart = search.difference(ours, naive, next(batches))
    assert apart < 1e-4
    told = search.measure(config, ours, naive, 32, apart)
    assert told[-1][0] == "bilevel step at batch 32 against the naive one"


def test_train(shrunk, no_peers, capsys, one_thread):
    shrunk("search", SQUARE=32)
    train = shrunk(
        "train", MODELS=("dcnv2",), TABLES={"few": (500, 1.0)}, STEPS={32: 1}, ROUNDS=1, SQUARE=32, install=no_peers
    )
    train.main()
    told = capsys.readouterr().out
    assert "FuxiCTR is not measured: tests install nothing" in told
    assert '"value": null' in told
    assert '"met": null' in told


def test_serving(shrunk, capsys, monkeypatch):
    one_block = small_config().model.model_copy(update={"blocks": 1})
    one = Architecture(dense=(("linear",),), sparse=(("linear3d",),))
    serving = shrunk("serving", BATCHES=(1, 2), TWO_A_SIDE=one, Model=lambda: one_block)
    shrunk("serving", REGISTRY={"dlrm": serving.REGISTRY["dlrm"]})
    monkeypatch.setattr("sys.argv", ["serving", "--rows", "100", "--seconds", "0.01"])
    serving.main()
    told = capsys.readouterr().out
    assert re.search(r"DLRM +\S+ +\S+", told)


def test_scaling(shrunk, tmp_path, capsys, one_thread):
    """One process in the place of two takes a step of every way, and the report tells the claims."""
    scaling = shrunk(
        "scaling", PROCESSES=1, BATCH=32, ROWS=64, TABLE_SIZES=(50,) * 26, DAY_ROWS=512, paper_config=small_config
    )
    here, there = Pipe()
    ways = ("days", "DNAS", "DNAS, large batch")
    for order in (*ways, None):
        here.send(order)
    scaling.work(0, tmp_path, there)
    assert here.recv() is None
    assert all(seconds > 0 for seconds, _ in (here.recv() for _ in ways))
    scaling.report(
        {key: [(100.0 * key[1], 0.01)] for key in (("days", 1), ("days", 2), ("DNAS", 2), ("DNAS, large batch", 2))}
    )
    assert len(claims(capsys)) == 4


def test_memory(shrunk, tmp_path):
    memory = shrunk("memory")
    memory.write_log(tmp_path / "day_0", 500)
    assert memory.peak("parse", tmp_path, "hash") > 1e6
    assert memory.model("parse", "hash", [100]) > 0


def test_prepare(shrunk, no_peers, tmp_path, capsys):
    prepare = shrunk("prepare", ROWS=2000, DAY_ROWS=2000, ROUNDS=1, TORCHREC_ROWS=100)
    shrunk("peers", install=no_peers)
    prepare.against_torchrec(tmp_path, 1.0)
    prepare.gzip_to_shards(tmp_path)
    told = capsys.readouterr().out
    assert "not measured: tests install nothing" in told
    assert "parse_day" in told


def test_feed(shrunk, tmp_path):
    """Every reader gives all rows of a day, and both data sets the same row."""
    feed = shrunk("feed", ROWS=1 << 12, BATCH=512)
    rows, manifest = feed.write_day(tmp_path)
    parquet = tmp_path / "day.parquet"
    for read in (
        Feed(manifest, 1, 512, shuffle_seed=1),
        feed.parquet_batches(parquet),
        feed.parquet_groups(parquet),
        feed.parquet_groups(parquet, shuffle=True),
    ):
        batches = list(read)
        assert sum(len(batch[0]) for batch in batches) == 1 << 12
        assert feed.rate(iter(batches)) > 0
    whole_day = 2 * rows.sparse.nbytes
    for stored, kept in zip(feed.RowsOfHdf5(tmp_path / "day.h5", 1 << 12, whole_day)[7], feed.RowsInMemory(rows)[7]):
        assert (stored == kept).all()
