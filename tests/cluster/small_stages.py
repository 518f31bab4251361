"""A pipeline whose tasks do as a plan file in the run folder says.

A module of its own, since tasks run in processes and jobs of their own: `python small_stages.py RUN STAGE TASK
--attempt N` runs one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from distdnas_hpc.cluster.execute import TaskError, execute
from distdnas_hpc.cluster.run_folder import RunFolder
from distdnas_hpc.cluster.stages import Stage, Work
from distdnas_hpc.config import Config
from distdnas_hpc.errors import DivergedError, UserError

COMMAND = (sys.executable, __file__)


def small_config(run: Path, **changes) -> Config:
    """Return a valid config; what it says about data and models plays no part here."""
    tree = {
        "run": run,
        "data": {"schema": "criteo", "raw": str(run / "none.tsv"), "rows_per_day": 10, "days": 3},
        "search": {"days": "1-2"},
        "train": {"days": "1-2", "test_day": 3},
    }
    return Config.model_validate({**tree, **changes})


def make_run(path: Path, *stages: dict, do: dict[str, str] | None = None, **changes) -> RunFolder:
    """Make a run folder of stages given as Stage's fields; `do` names what tasks do ('search/1': 'fail')."""
    run = RunFolder.prepare(small_config(path, **changes))
    plan(run, *stages, do=do)
    return run


def plan(run: RunFolder, *stages: dict, do: dict[str, str] | None = None) -> None:
    """Replace the plan: other stages (none: the same), other deeds."""
    file = run.path / "plan.json"
    if not stages and file.exists():
        stages = json.loads(file.read_text())["stages"]
    file.write_text(json.dumps({"stages": stages, "do": do or {}}))


def stages_of(run: RunFolder) -> list[Stage]:
    told = json.loads((run.path / "plan.json").read_text())["stages"]
    return [
        Stage(**{**stage, "tasks": tuple(stage["tasks"]), "after": tuple(stage.get("after", ())), "function": deed})
        for stage in told
    ]


def run_task(run: str, stage: str, task: str, attempt: int) -> None:
    """Run one task, as distdnas_hpc.study.run_task does."""
    folder = RunFolder(Path(run))
    execute(folder, next(each for each in stages_of(folder) if each.name == stage), task, attempt)


def deed(work: Work) -> dict:
    """Do what the plan says: nothing, hold, be deaf, fail, complain, diverge, die, or forget to make sense."""
    name = f"{work.folder.parent.name}/{work.task}"
    (work.folder / "checkpoints").mkdir(exist_ok=True)
    (work.folder / "checkpoints/step_1.pt").touch()
    what = json.loads((work.run.path / "plan.json").read_text())["do"].get(name, "")
    note(work.run, "start", name)
    work.progress.update(0.5, rows=5, loss=0.7)
    if what == "hold":  # until the test says go
        while not (work.run.path / "go").exists():
            time.sleep(0.02)
    elif what == "deaf":  # to every warning
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(1)
    elif what == "fail":
        raise ValueError("it is broken")
    elif what == "complain":
        raise UserError("day_1.tsv, line 3: 12 fields instead of 40; mend the line.")
    elif what == "diverge":
        raise DivergedError("LogLoss diverged at step 7")
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "nonsense":
        return {"answer": object()}
    work.progress.update(1.0, rows=10, loss=0.5)
    note(work.run, "end", name)
    names = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "FROM_SETUP")
    return {"rows": 10, "python": sys.executable, **{name: os.environ.get(name) for name in names}}


def start_task(run: RunFolder, stage: str, task: str) -> "subprocess.Popen[bytes]":
    """Start a task's first attempt in a process of its own and wait until it is at work."""
    command = [*COMMAND, str(run.path), stage, task, "--attempt", str(run.new_attempt(stage, task))]
    process = subprocess.Popen(command)
    wait_until(lambda: f"start {stage}/{task}" in events(run))
    return process


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something holds; a TimeoutError if it never does."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError("it never came")
        time.sleep(0.02)


def note(run: RunFolder, what: str, name: str) -> None:
    """Add a line to the record of what happened when."""
    with (run.path / "events.txt").open("a") as events:
        events.write(f"{what} {name}\n")


def events(run: RunFolder) -> list[str]:
    """Return what happened, in order, e.g. ['start search/1', 'end search/1']."""
    path = run.path / "events.txt"
    return path.read_text().splitlines() if path.exists() else []


def states(run: RunFolder, alive=None) -> dict[str, str]:
    """Return the state of every task, e.g. {'search/1': 'done'}."""
    from distdnas_hpc.cluster.status import run_status

    return {f"{told.stage}/{told.task}": told.state for told in run_status(run, stages_of(run), alive)}


if __name__ == "__main__":
    try:
        run_task(*sys.argv[1:4], int(sys.argv[5]))
    except (TaskError, KeyboardInterrupt):
        sys.exit(1)
