"""What a real Slurm says of configs that fit it, and of those that don't."""

import re

import pytest

from distdnas_hpc.cluster.slurm_checks import check_slurm, probe
from distdnas_hpc.config import Config
from tests.cluster.small_stages import small_config


def config_of(folder, threads: int = 1, **slurm) -> Config:
    return small_config(folder, cluster={"executor": "slurm", "threads": threads, "slurm": slurm})


def checked(folder, tasks: int = 24, **asked) -> dict[str, tuple[str, str]]:
    return {check.name: check[1:] for check in check_slurm(config_of(folder, **asked), {"search": tasks})}


def test_what_the_cluster_has_is_fine(slurm, tmp_path):
    found = checked(tmp_path, partition="gpu", account="root", gres="gpu:a5000:1", mem_gb=2, time_minutes=60)
    assert list(found) == ["Slurm", "partition", "account", "limits", "submission"]
    assert {verdict for verdict, _ in found.values()} == {"ok"}, found
    assert found["limits"][1].startswith("an array may have ")
    assert found["submission"][1].startswith("Slurm takes a search's job, to start at 20")
    assert slurm.squeue() == {}, "nothing was queued"


@pytest.mark.parametrize(
    ("asked", "line", "sentence"),
    [
        ({"partition": "gpus"}, "partition", "there is no 'gpus'; set cluster.slurm.partition to one of gpu"),
        ({"gres": "gpu:h100:1"}, "partition", "no node has gpu:h100:1 (cluster.slurm.gres); they have gpu:a5000:1"),
        ({"gres": "gpu:2"}, "partition", "no node has gpu:2"),
        ({"mem_gb": 64}, "partition", "its largest node has 4 GB (cluster.slurm.mem_gb is 64)"),
        ({"threads": 3}, "partition", "its largest node has 2 CPUs (cluster.threads is 3)"),
        ({"account": "nobody"}, "account", "you have no 'nobody'; set cluster.slurm.account to one of root"),
        ({"qos": "gold"}, "account", "you have no qos 'gold'; set cluster.slurm.qos to one of normal"),
        ({"constraint": "fast"}, "submission", "Slurm would refuse a search's job: "),
    ],
)
def test_what_it_has_not_is_a_problem_with_its_remedy(asked, line, sentence, slurm, tmp_path):
    verdict, told = checked(tmp_path, **asked)[line]
    assert verdict == "problem"
    assert sentence in told


def test_a_stage_that_becomes_several_arrays_is_told(slurm, tmp_path):
    most = int(re.search(r"^MaxArraySize=(\d+)", (slurm.folder / "slurm.conf").read_text(), re.MULTILINE)[1]) - 1
    for tasks, told in ((most, f"has {most:,}"), (most + 1, f"has {most + 1:,}, which become 2 arrays")):
        verdict, sentence = checked(tmp_path, tasks=tasks)["limits"]
        assert verdict == "ok"
        assert sentence == f"an array may have {most:,} tasks; the largest stage, search, {told}"


def test_a_probe_tells_what_a_node_sees_and_leaves_nothing(slurm, tmp_path):
    folder = tmp_path / "it's shared"
    folder.mkdir()
    shared, gpu = probe(config_of(tmp_path, gres="gpu:a5000:1", setup=["export FROM_SETUP=1"]), folder)
    assert shared.verdict == "ok"
    assert shared.told.endswith(f"writes {folder}")
    assert (gpu.verdict, "sees no GPU on" in gpu.told) == ("warning", True), "the nodes' GPUs are but names"
    assert list(folder.iterdir()) == []
    assert slurm.squeue() == {}


def test_a_probe_that_waits_in_vain_is_cancelled(slurm, tmp_path):
    config = config_of(tmp_path, sbatch={"begin": "now+1hour"})
    (told,) = probe(config, tmp_path, seconds=1.0)
    assert (told.verdict, "did not run within 1 s" in told.told) == ("warning", True)
    slurm.wait(lambda: slurm.squeue() == {}, "the probe's end")


def test_without_slurm_the_first_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (told,) = check_slurm(config_of(tmp_path), {"search": 1})
    assert (told.name, told.verdict) == ("Slurm", "problem")
    assert "there is no scontrol on this machine; run this on a login node" in told.told
