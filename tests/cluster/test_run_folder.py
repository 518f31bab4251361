"""The run folder: whose it is, attempts, and the ledger."""

import threading

import pytest

from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.errors import UserError
from tests.cluster.small_stages import make_run, small_config


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_run_holds_its_config_and_its_environment(tmp_path):
    config = small_config(tmp_path / "deep" / "run")
    run = RunFolder.prepare(config)
    assert run.config == config
    assert RunFolder(run.path).config == config
    assert "torch:" in (run.path / "environment.yaml").read_text()


def test_the_same_experiment_goes_on_and_may_run_elsewhere(tmp_path):
    first = RunFolder.prepare(small_config(tmp_path / "run"))
    environment = (first.path / "environment.yaml").read_bytes()
    again = RunFolder.prepare(small_config(tmp_path / "run", cluster={"executor": "slurm", "threads": 4}))
    assert again.config.cluster.threads == 4
    assert (first.path / "environment.yaml").read_bytes() == environment


def test_another_experiment_is_refused_and_changes_nothing(tmp_path):
    RunFolder.prepare(small_config(tmp_path / "run"))
    before = files(tmp_path)
    other = small_config(tmp_path / "run", seed=2, model={"blocks": 3}, cluster={"threads": 4})
    with pytest.raises(UserError, match=r"run belongs to another config \(it differs in model\.blocks, seed\)"):
        RunFolder.prepare(other)
    assert files(tmp_path) == before


@pytest.mark.parametrize("there", ["a file", "a folder with something in it"])
def test_what_is_not_a_run_folder_is_left_alone(there, tmp_path):
    path = tmp_path / "run"
    if there == "a file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / "thesis.tex").write_text("mine")
    before = files(tmp_path)
    with pytest.raises(UserError, match="exists but is not a run folder; nothing was changed"):
        RunFolder.prepare(small_config(path))
    assert files(tmp_path) == before


def test_a_run_whose_making_was_cut_off_can_be_made_again(tmp_path, monkeypatch):
    def cut():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("distdnas_hpc.cluster.run_folder._environment", cut)
        RunFolder.prepare(small_config(tmp_path / "run"))
    run = RunFolder.prepare(small_config(tmp_path / "run"))
    assert (run.path / "environment.yaml").is_file()


def test_a_place_that_cannot_be_written_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="can't be written"):
        RunFolder.prepare(small_config(tmp_path / "file" / "run"))


def test_opening_a_folder_that_is_no_run_is_told_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match="is not a run folder"):
        RunFolder(tmp_path)


def test_attempts_count_from_one_and_beyond_a_hundred(tmp_path):
    run = make_run(tmp_path / "run")
    assert run.last_attempt("search", "1") == 0
    assert [run.new_attempt("search", "1") for _ in range(101)] == list(range(1, 102))
    assert run.last_attempt("search", "1") == 101


def test_an_attempt_belongs_to_one_claimant(tmp_path):
    run = make_run(tmp_path / "run")
    claimed = []
    start = threading.Barrier(8)

    def claim():
        start.wait()
        claimed.extend(run.new_attempt("search", "1") for _ in range(10))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(1, 81))


def test_the_ledger_keeps_events_in_order(tmp_path):
    run = make_run(tmp_path / "run")
    assert run.ledger() == []
    run.record({"event": "submitted", "stage": "search"})
    run.record({"event": "cancelled", "jobs": ["1"]})
    assert [event["event"] for event in run.ledger()] == ["submitted", "cancelled"]
    assert all("time" in event for event in run.ledger())


def test_a_damaged_line_of_the_ledger_is_named(tmp_path):
    run = make_run(tmp_path / "run")
    run.record({"event": "cancelled", "jobs": []})
    with (run.path / "ledger.jsonl").open("a") as ledger:
        ledger.write('{"event": "subm')
    with pytest.raises(UserError, match=r"ledger\.jsonl, line 2"):
        run.ledger()
