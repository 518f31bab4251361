"""A study's stages: those of its runs, under the names of their folders, after what they share."""

import pytest

from distdnas_hpc import study
from distdnas_hpc.cluster.execute import end_attempt
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.submission import claimed_jobs
from distdnas_hpc.errors import UserError
from tests.cluster.small_stages import small_config

STUDY = {"strategies": ["distdnas", "supernet"], "seeds": [1, 2]}


@pytest.fixture
def config(tmp_path):
    return small_config(tmp_path / "run", study=STUDY, search={"days": "1-2", "min_days": 1})


def by_name(stages):
    return {stage.name: stage for stage in stages}


def diverge(run: RunFolder, name: str, *days: str) -> None:
    for day in days:
        number = run.new_attempt(f"study/{name}/search", day)
        end_attempt(run.attempt_folder(f"study/{name}/search", day, number), "diverged", "at step 7")


def test_runs_wait_for_what_they_share_and_for_nothing_of_each_other(config):
    stages = by_name(study.stages(config))
    assert list(stages)[:5] == ["parse", "merge", "encode", "manifest", "cost"]
    one = "study/distdnas_g0.004_s2"
    assert stages[f"{one}/search"].after == ("manifest", "cost")
    assert (stages[f"{one}/search"].tasks, stages[f"{one}/search"].required) == (("day_01", "day_02"), 1)
    assert stages[f"{one}/search"].gpu
    assert stages[f"{one}/aggregate"].after == (f"{one}/search",)
    assert stages[f"{one}/report"].after == (f"{one}/train",)
    assert stages["study/supernet_s1/aggregate"].after == ("manifest", "cost")
    assert len(stages) == 5 + 2 * 4 + 2 * 3


def test_a_study_on_anothers_shards_makes_none(tmp_path):
    config = small_config(tmp_path / "run", study=STUDY, prepared=tmp_path / "other")
    stages = by_name(study.stages(config))
    assert stages["study/distdnas_g0.004_s1/search"].after == ()
    assert not {"parse", "cost"} & set(stages)
    assert {variant.config.prepared for variant in study.variants(config)} == {tmp_path / "other"}


def test_its_folder_has_the_stages_of_what_was_begun_there(config):
    run = RunFolder.prepare(config)
    assert "search" in by_name(study.stages_of(run)), "'distdnas run' takes no notice of the study"
    study.prepare(config)
    assert list(by_name(study.stages_of(run))) == list(by_name(study.stages(config)))
    (run.path / "search").mkdir()
    assert list(by_name(study.stages_of(run)))[-4:] == ["search", "aggregate", "train", "report"]


def test_what_diverged_is_left_out_unless_enough_is_left(config):
    run = study.prepare(config)
    diverge(run, "distdnas_g0.004_s1", "day_01")
    assert by_name(study.left(config)).keys() == by_name(study.stages(config)).keys(), "one day is enough"
    diverge(run, "distdnas_g0.004_s1", "day_02")
    lost = by_name(study.stages(config)).keys() - by_name(study.left(config)).keys()
    assert lost == {f"study/distdnas_g0.004_s1/{stage}" for stage in ("search", "aggregate", "train", "report")}
    assert by_name(study.to_mend(run)).keys() == by_name(study.left(config)).keys()


def test_fewer_days_are_enough_in_every_run(config):
    study.prepare(config)
    changed = config.model_copy(update={"search": config.search.model_copy(update={"min_days": 2})})
    study.prepare(changed)
    assert RunFolder(config.run / "study/distdnas_g0.004_s2").config.search.min_days == 2


def test_another_config_changes_nothing(config):
    run = study.prepare(config)
    before = {path: path.read_bytes() for path in run.path.rglob("*.yaml")}
    other = config.model_copy(update={"search": config.search.model_copy(update={"theta": (0.3,)})})
    with pytest.raises(UserError, match=r"belongs to another config \(it differs in search\.theta\)"):
        study.prepare(other)
    assert {path: path.read_bytes() for path in run.path.rglob("*.yaml")} == before


def test_a_run_of_a_study_knows_its_part_of_the_ledger(config):
    run = study.prepare(config)
    one, other = (RunFolder(run.path / "study" / name) for name in ("distdnas_g0.004_s1", "supernet_s1"))
    run.record({"event": "submitted", "stage": "study/distdnas_g0.004_s1/search", "jobs": ["7_0", "7_1"]})
    one.record({"event": "cancelled", "jobs": ["7_1"]})
    assert [(event["event"], event.get("stage")) for event in one.ledger()] == [
        ("submitted", "search"),
        ("cancelled", None),
    ]
    assert [event["event"] for event in other.ledger()] == ["cancelled"]
    assert len(run.ledger()) == 2
    assert one.slurm_folder == run.path / "slurm"
    assert (one.study, run.study) == (run.path, None)


def test_a_run_of_a_study_submits_nothing_by_itself(config):
    run = study.prepare(config)
    with pytest.raises(UserError, match=f"is a run of the study {run.path}, which submits its jobs"):
        claimed_jobs(RunFolder(run.path / "study/supernet_s1"), cut_off=False)


def test_a_task_is_found_under_the_name_of_its_folder(config):
    run = study.prepare(config)
    with pytest.raises(UserError, match="has no task study/supernet_s1/search/day_01"):
        study.run_task(str(run.path), "study/supernet_s1/search", "day_01", 1)
