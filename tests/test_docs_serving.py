"""docs/serving.md: its commands work as written, and the model's folder needs no run."""

import gzip
import re
import shutil

import numpy as np

from distdnas_hpc.serve import onnx_program
from distdnas_hpc.serve.model_folder import FILES
from distdnas_hpc.train.metrics import probabilities
from distdnas_hpc.train.scores import SCORES, read_scores
from tests.shrunk import ROOT, distdnas

DOCS = (ROOT / "docs/serving.md").read_text()
COMMANDS = [
    line.partition("#")[0].split()
    for block in re.findall(r"```sh\n(.*?)```", DOCS, re.S)
    for line in block.splitlines()
]


def test_commands_work_in_the_order_given(finished_run, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "runs/quickstart")
    rows = gzip.decompress((ROOT / "configs/data/criteo_kaggle_7200.tsv.gz").read_bytes()).splitlines(keepends=True)
    (tmp_path / "new_rows.tsv.gz").write_bytes(gzip.compress(b"".join(rows[1800:2400])))  # its test day
    expected = {
        name: probabilities(read_scores(run / "train" / name / SCORES).logit) for name in ("distdnas_t0.2_m1", "dlrm")
    }
    assert [command[1] for command in COMMANDS] == ["export", "export", "predict", "predict"]
    told = []
    for command in COMMANDS:
        told.append(distdnas(*command[1:], cwd=tmp_path))
        assert told[-1].returncode == 0, told[-1].stderr
        if "models/dlrm" in command and command[1] == "export":
            shutil.rmtree(run)
    assert told[0].stdout.startswith("DistDNAS (θ=0.2, M=1): models/discovered. Use it with: distdnas predict")
    assert {path.name for path in (tmp_path / "models/dlrm").iterdir()} == {*FILES, *onnx_program.FILES, "model.yaml"}
    assert told[2].stdout == "600 probabilities of DistDNAS (θ=0.2, M=1): p.txt\n"
    found = [(tmp_path / "p.txt").read_text(), told[3].stdout]
    for text, probability in zip(found, expected.values()):
        assert np.array_equal([float(line) for line in text.splitlines()], probability)
