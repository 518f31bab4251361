"""A model exported from a finished run and asked about raw rows, as the test asked it."""

import gzip
import shutil

import numpy as np
import pytest
import torch

from distdnas_hpc import models
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.data.ids import ExactIds
from distdnas_hpc.errors import UserError
from distdnas_hpc.serve.model_folder import FILES, load_model
from distdnas_hpc.serve.predict import predict_file
from distdnas_hpc.train.metrics import probabilities
from distdnas_hpc.train.scores import SCORES, read_scores
from tests.prepared import SILENT
from tests.shrunk import ROOT

DISCOVERED = "distdnas_t0.2_m1"
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def exported(finished_run, tmp_path_factory):
    """Folders of both models of a finished run, by the name of their task."""
    folder = tmp_path_factory.mktemp("exported")
    for name in (DISCOVERED, "dlrm"):
        models.export(RunFolder(finished_run), name, folder / name)
    return folder


@pytest.fixture(scope="module")
def test_day() -> list[bytes]:
    """The 600 raw rows of the finished run's test day, day 4."""
    rows = gzip.decompress((ROOT / "configs/data/criteo_kaggle_7200.tsv.gz").read_bytes()).splitlines(keepends=True)
    return rows[1800:2400]


def predict(folder, raw, out) -> np.ndarray:
    predict_file(load_model(folder), raw, out, SILENT)
    return np.array([float(line) for line in out.read_text().splitlines()])


@pytest.mark.parametrize("name", [DISCOVERED, "dlrm"])
def test_probabilities_are_those_of_the_test_bit_for_bit(finished_run, exported, test_day, tmp_path, name):
    """With the label or without, plain or gzipped. Half of the test day's tokens are new in it."""
    scores = read_scores(finished_run / "train" / name / SCORES)
    expected = probabilities(scores.logit)
    (tmp_path / "day.tsv").write_bytes(b"".join(test_day))
    assert np.array_equal(predict(exported / name, tmp_path / "day.tsv", tmp_path / "out"), expected)
    with gzip.open(tmp_path / "unlabelled.tsv.gz", "wb") as file:
        file.write(b"".join(line.partition(b"\t")[2] for line in test_day))
    assert np.array_equal(predict(exported / name, tmp_path / "unlabelled.tsv.gz", tmp_path / "out"), expected)


def test_the_program_says_the_same_for_batches_of_any_size(exported):
    for name in (DISCOVERED, "dlrm"):
        served = load_model(exported / name)
        program = torch.export.load(exported / name / "program.pt2").module()
        for rows in (1, 64):
            torch.manual_seed(0)
            dense = torch.randn(rows, 13)
            sparse = torch.stack([torch.randint(0, ids.rows, (rows,)) for ids in served.maps], dim=1)
            with torch.inference_mode():
                expected = torch.sigmoid(served.model(dense, sparse).double())
            torch.testing.assert_close(program(dense, sparse), expected, rtol=1e-5, atol=1e-6)


def test_without_a_file_probabilities_go_to_the_standard_output(exported, test_day, tmp_path, capsys):
    (tmp_path / "rows.tsv").write_bytes(b"".join(test_day[:3]))
    assert predict_file(load_model(exported / "dlrm"), tmp_path / "rows.tsv", None, SILENT) == 3
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_export_overwrites_nothing(finished_run, exported, tmp_path):
    run = RunFolder(finished_run)
    with pytest.raises(UserError, match="exists already; nothing was changed"):
        models.export(run, "dlrm", exported / "dlrm")
    with pytest.raises(UserError, match=r"no trained model deepfm; trained: distdnas_t0\.2_m1, dlrm\."):
        models.export(run, "deepfm", tmp_path / "other")
    assert list(tmp_path.iterdir()) == []


def test_a_faulty_row_leaves_no_file(exported, test_day, tmp_path):
    served = load_model(exported / "dlrm")
    (tmp_path / "rows.tsv").write_bytes(b"".join([*test_day[:5], b"0\t1\n"]))
    with pytest.raises(UserError, match=r"rows\.tsv, line 6: "):
        predict_file(served, tmp_path / "rows.tsv", tmp_path / "out", SILENT)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.tsv"]
    with pytest.raises(UserError, match="there is no folder"):
        predict_file(served, tmp_path / "rows.tsv", tmp_path / "none/out", SILENT)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_folder_is_told(exported, tmp_path, name):
    folder = shutil.copytree(exported / "dlrm", tmp_path / "model")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} has changed since it was exported"):
        load_model(folder)
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        load_model(folder)
    with pytest.raises(UserError, match="is not a model's folder"):
        load_model(tmp_path)


def test_a_few_tokens_are_looked_up_as_many_are_encoded():
    ids = ExactIds(np.array([3, 5, 2**40], np.int64))
    tokens = np.array([-1, 0, 3, 4, 5, 2**40, 2**41], np.int64)
    found, expected = np.empty(7, np.int32), np.empty(7, np.int32)
    ids.look_up(tokens, found)
    ids.encode(tokens, expected)
    assert found.tolist() == expected.tolist() == [0, 0, 1, 0, 2, 3, 0]
    ExactIds(np.empty(0, np.int64)).look_up(tokens, found)
    assert found.tolist() == [0] * 7
