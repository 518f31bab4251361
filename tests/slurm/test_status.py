"""What a real Slurm says of jobs that wait, run and end."""

from distdnas_hpc.cluster.queue import queue
from distdnas_hpc.cluster.slurm import wait
from distdnas_hpc.cluster.status import run_status
from tests.cluster.small_stages import make_run, run_task, stages_of
from tests.slurm.test_slurm_executor import submit

SEARCH = {"name": "search", "tasks": ["1", "2"]}
AGGREGATE = {"name": "aggregate", "tasks": ["all"], "after": ["search"]}


def test_waiting_jobs_tell_why_and_dead_ones_how(slurm, tmp_path):
    run = make_run(tmp_path / "run", SEARCH, AGGREGATE, do={"search/1": "hold", "search/2": "die"})
    assert queue(run) == {}
    submit(run, stages_of(run), run_task)
    slurm.wait(lambda: list((queue(run) or {}).values()) == ["", "Dependency"], "one running, one dead, one waiting")
    first, second, third = run_status(run, stages_of(run), queue(run))
    assert (first.state, second.state, third.state) == ("running", "lost", "pending")
    assert second.reason.endswith("Slurm says FAILED")
    assert third.reason == f"queued as job {third.job} (Dependency)"
    (run.path / "go").touch()
    wait(run, interval=0.2)
    assert queue(run) == {}
