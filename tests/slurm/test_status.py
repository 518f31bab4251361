"""What a real Slurm says of jobs that run and of those that wait."""

from distdnas_hpc.cluster.queue import queue
from distdnas_hpc.cluster.slurm import wait
from distdnas_hpc.cluster.status import run_status
from distdnas_hpc.cluster.submission import submit
from tests.cluster.small_stages import make_run, run_task, stages_of

SEARCH = {"name": "search", "tasks": ["1"]}
AGGREGATE = {"name": "aggregate", "tasks": ["all"], "after": ["search"]}


def test_a_waiting_job_tells_why(slurm, tmp_path):
    run = make_run(tmp_path / "run", SEARCH, AGGREGATE, do={"search/1": "hold"})
    assert queue(run) == {}
    submit(run, stages_of(run), run_task)
    slurm.wait(
        lambda: next(told.state for told in run_status(run, stages_of(run), queue(run))) == "running", "search/1"
    )
    first, second = run_status(run, stages_of(run), queue(run))
    assert (first.state, second.state) == ("running", "pending")
    assert second.reason == f"queued as job {second.job} (Dependency)"
    (run.path / "go").touch()
    wait(run, interval=0.2)
    assert queue(run) == {}
    assert [told.state for told in run_status(run, stages_of(run), queue(run))] == ["done", "done"]
