"""Stages on a real Slurm: arrays, devices, order, failures, cancelling, and going on."""

import shutil
import sys
import time

import pytest

from distdnas_hpc.cluster.queue import queue
from distdnas_hpc.cluster.slurm import cancel, wait
from distdnas_hpc.cluster.status import TaskStatus, run_status
from distdnas_hpc.cluster.submission import submit
from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import read_yaml
from tests.cluster.small_stages import events, make_run, plan, run_task, stages_of

PREPARE = {"name": "prepare", "tasks": ["all"]}
SEARCH = {"name": "search", "tasks": ["1", "2", "3"], "after": ["prepare"], "gpu": True}
AGGREGATE = {"name": "aggregate", "tasks": ["all"], "after": ["search"]}
TRAIN = {"name": "train", "tasks": ["all"], "after": ["aggregate"]}
HOLD = {"search/1": "hold", "search/2": "hold", "search/3": "hold"}
GPU = {"cluster": {"slurm": {"gres": "gpu:a5000:1"}}}


def look(run) -> dict[str, TaskStatus]:
    return {f"{told.stage}/{told.task}": told for told in run_status(run, stages_of(run), queue(run))}


def states(run) -> dict[str, str]:
    return {name: told.state for name, told in look(run).items()}


def go(run) -> int:
    return submit(run, stages_of(run), run_task)


def finish(run) -> dict[str, str]:
    wait(run, interval=0.2)
    return states(run)


def submissions(run) -> dict[str, dict]:
    return {event["stage"]: event for event in run.ledger() if event["event"] == "submitted"}


def test_an_array_with_a_gpu_for_each_element_and_the_rest_waiting_for_it(slurm, tmp_path):
    run = make_run(tmp_path / "run", PREPARE, SEARCH, AGGREGATE, TRAIN, do=HOLD, **GPU)
    assert go(run) == 6
    slurm.wait(lambda: events(run)[2:] and len(events(run)) == 5, "three searches at a time")
    search, aggregate = submissions(run)["search"], submissions(run)["aggregate"]
    array = search["jobs"][0].partition("_")[0]
    assert search["jobs"] == [f"{array}_{index}" for index in range(3)]
    assert slurm.job(aggregate["jobs"][0])["Dependency"] == f"afterok:{array}_*(unfulfilled)"
    assert slurm.job(f"{array}_0")["TresPerNode"] == "gres:gpu:a5000:1"
    assert "TresPerNode" not in slurm.job(aggregate["jobs"][0])
    assert list(states(run).values()) == ["done", *["running"] * 3, "pending", "pending"]
    (run.path / "go").touch()
    assert set(finish(run).values()) == {"done"}
    assert events(run)[:2] == ["start prepare/all", "end prepare/all"]
    assert events(run)[-4:] == ["start aggregate/all", "end aggregate/all", "start train/all", "end train/all"]
    started = [read_yaml(run.attempt_folder("search", task, 1) / "started.yaml") for task in "123"]
    assert len({told["slurmd_nodename"] for told in started}) == 3  # one GPU a node: no two shared one
    assert [told["cuda_visible_devices"] for told in started] == ["0"] * 3
    assert [f"{told['slurm_array_job_id']}_{told['slurm_array_task_id']}" for told in started] == search["jobs"]
    assert [told.job for told in look(run).values() if told.stage == "search"] == search["jobs"]


def test_a_failed_element_stops_what_waits_and_only_it_is_submitted_again(slurm, tmp_path):
    run = make_run(tmp_path / "run", PREPARE, SEARCH, AGGREGATE, TRAIN, do={"search/2": "fail"}, **GPU)
    go(run)
    told = finish(run)
    assert list(told.values()) == ["done", "done", "failed", "done", "pending", "pending"]
    train = look(run)["train/all"]
    assert (train.attempt, train.job) == (0, None)
    assert train.reason.endswith("was cancelled before it started")
    assert look(run)["search/2"].reason == "ValueError: it is broken"
    plan(run)
    assert go(run) == 3
    assert set(finish(run).values()) == {"done"}
    assert submissions(run)["search"]["tasks"] == ["2"]
    assert {name: told.attempt for name, told in look(run).items()} == {
        "prepare/all": 1, "search/1": 1, "search/2": 2, "search/3": 1, "aggregate/all": 2, "train/all": 2,
    }  # fmt: skip
    assert events(run).count("start search/1") == 1
    assert go(run) == 0


def test_enough_elements_let_the_next_stage_start_after_all_have_ended(slurm, tmp_path):
    do = {"search/1": "fail", "search/3": "hold"}
    run = make_run(tmp_path / "run", {**SEARCH, "after": [], "required": 2}, AGGREGATE, do=do)
    go(run)
    slurm.wait(lambda: list(states(run).values())[:3] == ["failed", "done", "running"], "one failed, one done")
    time.sleep(2)  # a scheduling cycle or two
    assert states(run)["aggregate/all"] == "pending"
    (run.path / "go").touch()
    assert list(finish(run).values()) == ["failed", "done", "done", "done"]


def test_a_stage_that_needs_some_of_another_does_not_start_when_that_one_never_could(slurm, tmp_path):
    run = make_run(tmp_path / "run", PREPARE, {**SEARCH, "required": 1}, AGGREGATE, do={"prepare/all": "complain"})
    go(run)
    assert list(finish(run).values()) == ["failed", *["pending"] * 4]
    assert look(run)["prepare/all"].input_fault
    assert events(run) == ["start prepare/all"]


def test_the_config_decides_what_slurm_is_asked_for(slurm, tmp_path):
    settings = {
        "partition": "gpu", "account": "root", "constraint": None, "time_minutes": 7, "mem_gb": 0.5,
        "array_parallelism": 2, "setup": ["export FROM_SETUP='two words'"],
        "sbatch": {"nice": 50, "comment": "a day each", "hold": False, "exclusive": True},
    }  # fmt: skip
    run = make_run(tmp_path / "my run", {**SEARCH, "after": []}, do=HOLD, cluster={"threads": 2, "slurm": settings})
    go(run)
    slurm.wait(lambda: len(events(run)) == 2, "two searches at a time")
    first, *_, last = submissions(run)["search"]["jobs"]
    told = slurm.job(last)
    assert (told["JobName"], told["Partition"], told["Account"]) == ("my", "gpu", "root")  # scontrol cuts at spaces
    assert (told["TimeLimit"], told["MinMemoryNode"], told["CPUs/Task"]) == ("00:07:00", "512M", "2")
    assert told["ArrayTaskThrottle"] == "2"
    assert (told["Nice"], told["OverSubscribe"]) == ("50", "NO")
    assert (slurm.squeue()[first], slurm.squeue()[last]) == ("RUNNING", "PENDING")
    (run.path / "go").touch()
    assert set(finish(run).values()) == {"done"}
    result = run.result("search", "1")
    assert (result["OMP_NUM_THREADS"], result["SLURM_CPUS_PER_TASK"], result["FROM_SETUP"]) == ("2", "2", "two words")
    assert result["python"] == sys.executable


def test_nothing_is_submitted_twice(slurm, tmp_path):
    run = make_run(tmp_path / "run", PREPARE, AGGREGATE | {"after": ["prepare"]}, do={"prepare/all": "hold"})
    go(run)
    before = run.ledger()
    with pytest.raises(UserError, match=r"2 jobs of .*run are running or queued already \(\d+, \d+\)"):
        go(run)
    assert run.ledger() == before
    assert len(slurm.squeue()) == 2
    assert run.last_attempt("prepare", "all") == 1


def test_cancelling_interrupts_what_runs_and_the_run_goes_on_later(slurm, tmp_path):
    run = make_run(tmp_path / "run", {**SEARCH, "after": []}, AGGREGATE, do={"search/2": "hold"})
    go(run)
    slurm.wait(lambda: list(states(run).values()) == ["done", "running", "done", "pending"], "only search/2 running")
    slurm.wait(lambda: len(queue(run)) == 2, "the end of the other jobs")
    assert cancel(run) == 2
    assert list(finish(run).values()) == ["done", "interrupted", "done", "pending"]
    assert "SIGTERM" in look(run)["search/2"].reason
    assert cancel(run) == 0
    plan(run)
    assert go(run) == 2
    assert set(finish(run).values()) == {"done"}


def test_a_task_near_its_time_limit_is_queued_again(slurm, tmp_path):
    run = make_run(tmp_path / "run", {**SEARCH, "after": []}, AGGREGATE, do={"search/1": "hold"})
    go(run)
    slurm.wait(lambda: look(run)["search/1"].state == "running", "search/1 running")
    plan(run)  # the next attempt ends at once
    job = submissions(run)["search"]["jobs"][0]
    slurm.command("scancel", "--signal=USR2", job)  # as --signal makes Slurm do
    assert set(finish(run).values()) == {"done"}, "what waits for it has waited on"
    reason = read_yaml(run.attempt_folder("search", "1", 1) / "ended.yaml")["reason"]
    assert reason == "told that its time limit is near; Slurm queues it again, beginning 2 of at most 10"
    assert look(run)["search/1"].attempt == 2


def test_a_requeued_job_makes_an_attempt_of_its_own(slurm, tmp_path):
    run = make_run(tmp_path / "run", PREPARE, do={"prepare/all": "hold"})
    go(run)
    slurm.wait(lambda: states(run) == {"prepare/all": "running"}, "prepare running")
    plan(run)  # the next attempt ends at once
    (job,) = submissions(run)["prepare"]["jobs"]
    slurm.command("scontrol", "requeue", job)
    slurm.wait(lambda: (run.attempt_folder("prepare", "all", 1) / "ended.yaml").exists(), "the first attempt's end")
    assert finish(run) == {"prepare/all": "done"}
    assert (look(run)["prepare/all"].attempt, queue(run)) == (2, {})
    assert read_yaml(run.attempt_folder("prepare", "all", 1) / "ended.yaml")["state"] == "interrupted"


def test_more_tasks_than_an_array_may_have_elements_are_several_arrays(slurm, tmp_path):
    days = [str(day) for day in range(1, 8)]
    slurm_settings = {"cluster": {"slurm": {"array_parallelism": 4}}}
    run = make_run(tmp_path / "run", {**SEARCH, "tasks": days, "after": []}, AGGREGATE, **slurm_settings)
    assert go(run) == 8
    first, second, aggregate = [event["jobs"] for event in run.ledger() if event["event"] == "submitted"]
    assert (len(first), len(second), len(aggregate)) == (5, 2, 1), "MaxArraySize of these tests is 5"
    arrays = [jobs[0].partition("_")[0] for jobs in (first, second)]
    after = slurm.job(aggregate[0])["Dependency"].replace("_*(unfulfilled)", "")
    assert after == ",".join(f"afterok:{array}" for array in arrays)
    assert slurm.job(second[0])["ArrayTaskThrottle"] == "2", "arrays share how many run at a time"
    assert set(finish(run).values()) == {"done"}
    assert events(run)[-2:] == ["start aggregate/all", "end aggregate/all"]


def test_a_job_that_dies_is_explained_by_the_controller_or_by_the_accounting(slurm, tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", {**SEARCH, "after": []}, AGGREGATE, do={"search/2": "die"})
    go(run)
    assert list(finish(run).values()) == ["done", "lost", "done", "pending"]
    job = submissions(run)["search"]["jobs"][1]
    assert look(run)["search/2"].reason == (
        f"its job {job} died without a word; Slurm says FAILED; killed (exit status 137): often out of memory"
    )
    sacct_alone(tmp_path, monkeypatch)
    slurm.wait(lambda: "Slurm says FAILED" in run_status(run, stages_of(run), set())[1].reason, "sacct's word")


def test_without_accounting_everything_works_and_less_is_known(slurm, tmp_path, monkeypatch):
    monkeypatch.setattr("distdnas_hpc.cluster.ended_jobs._known", {})
    config = (slurm.folder / "slurm.conf").read_text()
    there = tmp_path / "conf"
    there.mkdir()
    lines = [line for line in config.splitlines() if not line.startswith(("AccountingStorage", "JobAcct"))]
    (there / "slurm.conf").write_text("\n".join(lines))
    shutil.copy(slurm.folder / "gres.conf", there)
    monkeypatch.setenv("SLURM_CONF", str(there / "slurm.conf"))
    run = make_run(tmp_path / "run", {**SEARCH, "after": []}, AGGREGATE, do={"search/2": "die"})
    go(run)
    assert list(finish(run).values()) == ["done", "lost", "done", "pending"]
    sacct_alone(tmp_path, monkeypatch)
    told = run_status(run, stages_of(run), set())
    assert [each.state for each in told] == ["done", "lost", "done", "pending"]
    assert told[1].reason.endswith("died without a word; killed (exit status 137): often out of memory")


def sacct_alone(tmp_path, monkeypatch):
    """Forget what was told and leave no command but sacct, as when the controller has forgotten the jobs."""
    monkeypatch.setattr("distdnas_hpc.cluster.ended_jobs._known", {})
    folder = tmp_path / "sacct_alone"
    folder.mkdir()
    (folder / "sacct").symlink_to(shutil.which("sacct"))
    monkeypatch.setenv("PATH", str(folder))


def test_what_slurm_refuses_is_told_in_its_words_and_leaves_nothing_behind(slurm, tmp_path):
    run = make_run(
        tmp_path / "run", PREPARE, SEARCH, cluster={"slurm": {"gres": "gpu:h100:1"}}, do={"prepare/all": "hold"}
    )
    with pytest.raises(UserError, match=r"refused the stage 'search': .*[Rr]equested node configuration is not av"):
        go(run)
    assert set(finish(run).values()) <= {"pending", "interrupted"}  # prepare may have started by then
    assert run.last_attempt("search", "1") == 0
    assert [event["event"] for event in run.ledger()] == ["submitted", "cancelled"]
    mended = make_run(tmp_path / "run", **GPU)
    assert go(mended) == 4
    assert set(finish(mended).values()) == {"done"}


def test_an_unknown_partition_is_told_in_slurms_words(slurm, tmp_path):
    run = make_run(tmp_path / "run", PREPARE, cluster={"slurm": {"partition": "nowhere"}})
    with pytest.raises(UserError, match="invalid partition specified: nowhere"):
        go(run)
    assert slurm.squeue() == {}


def test_a_machine_without_slurm_is_told_so(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", PREPARE)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"no sbatch on this machine; .*--cluster local"):
        go(run)
    assert run.last_attempt("prepare", "all") == 0


def test_jobs_of_a_slurm_that_does_not_answer_are_neither_dead_nor_alive(slurm, tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", PREPARE)
    assert queue(run) == {}
    run.record({"event": "submitted", "stage": "prepare", "tasks": ["all"], "attempts": [1], "jobs": ["987654"]})
    assert queue(run) == {}  # Slurm answers that it knows no such job
    (tmp_path / "slurm.conf").write_text("this is no config\n")
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    assert queue(run) is None
    for act in (go, cancel):
        with pytest.raises(UserError, match="squeue does not answer"):
            act(run)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert queue(run) is None
