"""Planted days: files that the pipeline reads, each with what is true about it, the same for equal seeds."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from distdnas_hpc.config import Config, load_config
from distdnas_hpc.data.bayes import BayesOptimum
from distdnas_hpc.data.planted import Truth
from distdnas_hpc.data.planted_days import truth_file, write_planted_days
from distdnas_hpc.data.rows import MISSING, NO_TOKEN
from distdnas_hpc.data.source import read_day
from distdnas_hpc.errors import UserError
from distdnas_hpc.progress import Progress
from distdnas_hpc.storage import read_yaml
from tests.data.click_logs import joined
from tests.shrunk import ROOT

SILENT = Progress(None)
ROWS = 700


def config_of(folder: Path, *, ending: str = "", **changes) -> Config:
    """configs/planted_products.yaml with two days of 700 rows; `changes` go over its section `planted`."""
    tree = yaml.safe_load((ROOT / "configs/planted_products.yaml").read_text())
    tree["planted"] |= {"rows": ROWS, "tokens": 50} | changes
    tree["data"] |= {"raw": str(folder / f"days/day_{{day}}{ending}"), "days": 2}
    tree["search"]["days"] = 1
    tree["train"] |= {"days": 1, "test_day": 2, "warmup_days": 0}
    path = folder / "config.yaml"
    folder.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(tree))
    return load_config(path)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "days").iterdir())}


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 256 rows: a day is three."""
    monkeypatch.setattr("distdnas_hpc.data.planted_days._BLOCK", 256)


def test_the_pipeline_reads_the_rows_that_were_drawn(tmp_path, small_blocks):
    config = config_of(tmp_path)
    write_planted_days(config, SILENT)
    written = joined([block.rows for block in read_day(config.data, 2)])

    truth, rng = Truth(config.planted, 13, 26, day=2), np.random.default_rng([config.planted.seed, 2])
    expected, optimum, clicks = [], BayesOptimum(), []
    for n in (256, 256, ROWS - 512):
        expected.append(truth.draw(n, rng))
        optimum.add(p := truth.probability(expected[-1]))
        clicks.append(rng.random(n) < p)
    assert (written.dense == np.concatenate([rows.dense for rows in expected], axis=1)).all()
    assert (written.dense == MISSING).any()
    for tokens, ranks in zip(written.sparse, np.concatenate([rows.tokens for rows in expected], axis=1)):
        assert ((tokens == NO_TOKEN) == (ranks == 0)).all()
        assert len(set(zip(tokens, ranks))) == len(set(tokens)) == len(set(ranks)), "a token for each rank"
    assert len(set(written.sparse.ravel().tolist())) > 26 * 30, "columns have tokens of their own"
    assert (written.label == np.concatenate(clicks)).all()

    stated = read_yaml(tmp_path / "days/day_1.truth.yaml")
    assert stated["bayes"] == pytest.approx(optimum.scores())
    assert (stated["day"], stated["rows"], stated["clicks"]) == (2, ROWS, int(np.concatenate(clicks).sum()))


def test_equal_configs_give_equal_bytes_and_a_day_can_be_written_alone(tmp_path):
    config, other = config_of(tmp_path / "a", ending=".gz"), config_of(tmp_path / "b", ending=".gz")
    told = write_planted_days(config, SILENT)
    write_planted_days(other, SILENT)
    written = bytes_of(tmp_path / "a")
    assert written == bytes_of(tmp_path / "b")
    assert list(written) == ["day_0.gz", "day_0.gz.truth.yaml", "day_1.gz", "day_1.gz.truth.yaml"]
    assert written["day_0.gz"] != written["day_1.gz"]

    raw, kept = other.data.raw_file(2), other.data.raw_file(1).stat().st_mtime_ns
    raw.unlink()
    truth_file(raw).unlink()
    again = write_planted_days(other, SILENT)
    assert bytes_of(tmp_path / "b") == written
    assert other.data.raw_file(1).stat().st_mtime_ns == kept
    assert [truth["bayes"] for truth in again] == [truth["bayes"] for truth in told]


def test_gzip_holds_the_plain_text_and_another_seed_other_rows(tmp_path):
    for name, changes in {"plain": {}, "packed": {"ending": ".gz"}, "other": {"seed": 2}}.items():
        write_planted_days(config_of(tmp_path / name, **changes), SILENT)
    plain, packed, other = (bytes_of(tmp_path / name) for name in ("plain", "packed", "other"))
    assert gzip.decompress(packed["day_0.gz"]) == plain["day_0"] != other["day_0"]
    lines = plain["day_0"].decode().splitlines()
    assert len(lines) == ROWS
    assert {line.count("\t") for line in lines} == {39}


class StopsInDay2(Progress):
    """Ctrl-C after the first block of day 2."""

    def update(self, fraction: float, **_) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_whole_days_only_and_the_next_call_goes_on(tmp_path, small_blocks):
    config = config_of(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        write_planted_days(config, StopsInDay2(None))
    assert list(bytes_of(tmp_path)) == ["day_0", "day_0.truth.yaml"]
    write_planted_days(config, SILENT)
    write_planted_days(config_of(tmp_path / "whole"), SILENT)
    assert bytes_of(tmp_path) == bytes_of(tmp_path / "whole")


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    config = config_of(tmp_path)
    days = tmp_path / "days"
    days.mkdir()
    program = """if True:
        import os, signal
        from contextlib import ExitStack
        from pathlib import Path
        from distdnas_hpc.storage import atomic_write
        with ExitStack() as stack:
            for name in ("day_0", "day_0.truth.yaml", "x"):
                stack.enter_context(atomic_write(Path(name))).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", program], cwd=days, check=False)
    assert len(bytes_of(tmp_path)) == 3
    write_planted_days(config, SILENT)
    left, *written = sorted(bytes_of(tmp_path))
    assert left.startswith(".x.")
    assert written == ["day_0", "day_0.truth.yaml", "day_1", "day_1.truth.yaml"]


def test_a_truth_whose_day_never_appeared_is_written_again(tmp_path):
    """Killed between the two files."""
    config = config_of(tmp_path)
    write_planted_days(config, SILENT)
    written = bytes_of(tmp_path)
    config.data.raw_file(1).unlink()
    write_planted_days(config, SILENT)
    assert bytes_of(tmp_path) == written


def test_nothing_that_is_there_is_overwritten(tmp_path):
    config = config_of(tmp_path)
    config.data.raw_file(2).parent.mkdir()
    config.data.raw_file(2).write_text("real clicks")
    with pytest.raises(
        UserError, match=r"day_1 is there, without a day_1.truth.yaml .*; move it away, or let data.raw"
    ):
        write_planted_days(config, SILENT)
    assert list(bytes_of(tmp_path)) == ["day_1"], "nothing was written either"
    config.data.raw_file(2).unlink()
    write_planted_days(config, SILENT)
    written = bytes_of(tmp_path)
    with pytest.raises(UserError, match=r"day_0 was planted from other settings; let data.raw name another folder"):
        write_planted_days(config_of(tmp_path, seed=2), SILENT)
    assert bytes_of(tmp_path) == written


def test_a_config_without_the_section_is_refused():
    config = load_config(ROOT / "configs/quickstart.yaml")
    with pytest.raises(UserError, match=r"add the section 'planted', as in configs/planted_products.yaml"):
        write_planted_days(config, SILENT)


@pytest.mark.parametrize(
    ("section", "change", "sentence"),
    [
        ("planted", {"columns": 14}, r"planted.columns \(14\) is more than there are dense \(13\) or sparse \(26\)"),
        ("planted", {"parts": {}}, "give at least one of linear, products, crosses and attention"),
        ("planted", {"parts": {"product": 1}}, "did you mean 'products'?"),
        ("data", {"raw": "one_file", "rows_per_day": 10}, "planted days are Criteo's text, a file each"),
    ],
)
def test_settings_that_can_not_be_are_refused_with_key_and_remedy(tmp_path, section, change, sentence):
    tree = yaml.safe_load((ROOT / "configs/planted_products.yaml").read_text())
    tree[section] |= change
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(UserError, match=sentence):
        load_config(tmp_path / "config.yaml")
