"""`distdnas doctor`: each line for a config that is fine, and for one that isn't."""

import json
import os

import pytest

from distdnas_hpc import doctor
from distdnas_hpc.config import load_config
from distdnas_hpc.doctor import examine
from distdnas_hpc.progress import Progress
from tests.shrunk import SMALL_BATCHES, distdnas, write_config


def checked(path, **options) -> dict[str, tuple[str, str]]:
    return {check.name: check[1:] for check in examine(load_config(path), Progress(None), probing=False)}


def test_a_config_that_fits_this_machine_is_fine_and_nothing_is_made(tmp_path):
    config = write_config(tmp_path)
    told = distdnas("doctor", config)
    assert told.returncode == 0, told.stdout
    lines = [line.split()[:2] for line in told.stdout.splitlines()]
    names = ["data:", "run", "rows:", "disk:", "memory:", "time:", "torch:"]
    assert lines == [["ok", name] for name in names]
    assert "2,400 in 4 days, by data.rows_per_day" in told.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_problem_is_told_with_its_remedy_and_by_the_exit_status(tmp_path):
    told = distdnas("doctor", write_config(tmp_path, data={"raw": str(tmp_path / "none.gz")}), "--json")
    assert told.returncode == 1
    first = json.loads(told.stdout)[0]
    assert (first["name"], first["verdict"]) == ("data", "problem")
    assert "none.gz does not exist; put it there or correct data.raw" in first["told"]


def test_a_probe_without_slurm_is_wrong_use(tmp_path):
    told = distdnas("doctor", write_config(tmp_path), "--probe")
    assert (told.returncode, told.stdout) == (2, "")
    assert "cluster.executor is not 'slurm'" in told.stderr


def test_prepared_data_is_compared_with_its_checksums_and_rates_are_this_runs(unfinished):
    run, config = unfinished("report", "all")
    found = checked(config)
    assert found["data"][0] == "ok"
    assert found["data"][1].endswith("and every file is what was written")
    assert found["rows"][1] == "2,400 in 4 days, by the prepared data"
    assert found["time"][1].endswith("finished tasks of this run")
    shard = run / "prepared/day_02/shard_0000.h5"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert (checked(config)["data"][0], "day_02/shard_0000.h5 has changed" in checked(config)["data"][1]) == (
        "problem",
        True,
    )


def test_of_data_that_another_run_prepared_that_runs_files_are_looked_at(finished_run, tmp_path):
    config = write_config(tmp_path, **SMALL_BATCHES)
    config.write_text(f"{config.read_text()}\nprepared: {finished_run}\n")
    found = checked(config)
    assert found["data"][1].endswith("and every file is what was written")
    assert found["rows"][1] == "2,400 in 4 days, by the prepared data"


def test_of_much_prepared_data_the_checksums_are_left_to_another_command(unfinished, monkeypatch):
    monkeypatch.setattr(doctor, "VERIFIED_BYTES", 1)
    _, config = unfinished("report", "all")
    verdict, told = checked(config)["data"]
    assert (verdict, told.endswith("distdnas prepare CONFIG --verify")) == ("ok", True)


def test_disk_and_memory_that_do_not_suffice_are_told(tmp_path, monkeypatch):
    usage = type(doctor.shutil.disk_usage("/"))
    config = write_config(tmp_path, data={"max_rows": 5_000_000}, cluster={"executor": "local"})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage(1000, 1000, 10))
    known = {"SC_PAGE_SIZE": 100, "SC_PHYS_PAGES": 100}
    real = os.sysconf
    monkeypatch.setattr(doctor.os, "sysconf", lambda name: known[name] if name in known else real(name))
    found = checked(config)
    assert (found["disk"][0], "free are 10 B; make room, or set 'run' elsewhere" in found["disk"][1]) == (
        "problem",
        True,
    )
    assert (found["memory"][0], "more than this machine's memory for 2 tasks" in found["memory"][1]) == (
        "warning",
        True,
    )


def test_a_run_folder_that_cannot_be_made_is_a_problem(tmp_path, monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    verdict, told = checked(write_config(tmp_path))["run folder"]
    assert (verdict, told) == ("problem", f"{tmp_path} can't be written (Permission denied); set 'run' elsewhere")


@pytest.mark.parametrize(
    ("cluster", "verdict", "sentence"),
    [
        ({"device": "cpu"}, "ok", "on CPUs"),
        ({"device": "cuda"}, "problem", "is built without CUDA, but tasks ask for a GPU"),
    ],
)
def test_torch_must_fit_the_device(cluster, verdict, sentence, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = checked(
        write_config(tmp_path, cluster=cluster, **{k: v for k, v in SMALL_BATCHES.items() if k != "cluster"})
    )
    assert (found["torch"][0], sentence in found["torch"][1]) == (verdict, True)
