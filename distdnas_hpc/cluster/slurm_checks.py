"""Whether Slurm would take and run an experiment's tasks: asked before a week in the queue is lost."""

import getpass
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from distdnas_hpc.config import Config, Slurm

PROBE_SECONDS = 600.0
"""How long a probe job is waited for."""
LATE_SECONDS = 10.0
"""How late NFS may show a file that another node wrote."""

UNENDED = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED")
"""States of a job that is still to be waited for."""
PROBE = """\
import json, os, socket, sys
told = {"host": socket.gethostname()}
try:
    import torch, distdnas_hpc
    told |= {"torch": torch.__version__, "cuda": torch.cuda.is_available()}
    told["gpu"] = torch.cuda.get_device_name(0) if told["cuda"] else ""
except Exception as error:
    told["error"] = f"{type(error).__name__}: {error}"
with open(sys.argv[1] + ".tmp", "w") as file:
    json.dump(told, file)
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
"""
"""What a probe job runs."""


class Check(NamedTuple):
    """A line of `distdnas doctor`: what was looked at, the verdict, and what was found, with the remedy."""

    name: str
    verdict: Literal["ok", "warning", "problem"]
    told: str


def check_slurm(config: Config, tasks: dict[str, int]) -> Iterator[Check]:
    """Yield what Slurm says about the partition, the account, the limits, and a job like those of search.

    Parameters
    ----------
    tasks : how many tasks each stage has.
    """
    slurm = config.cluster.slurm
    ping = _ask("scontrol", "ping")
    if not ping.works:
        yield Check("Slurm", "problem", f"{ping.told}; run this on a login node, or set cluster.executor to local")
        return
    settings = _ask("scontrol", "show", "config").told
    yield Check("Slurm", "ok", f"answers: {_setting(settings, 'SLURM_VERSION', 'its version is not told')}")
    partition = _check_partition(slurm, config.cluster.threads)
    yield partition
    yield _check_account(slurm)
    yield _check_arrays(settings, tasks)
    if partition.verdict != "problem":
        yield _check_submission(config)


def probe(config: Config, folder: Path, seconds: float = PROBE_SECONDS) -> Iterator[Check]:
    """Run a job like a search's, and yield whether its node can write `folder`, and whether torch sees a GPU there.

    The job is cancelled if it does not end in time; nothing is left behind.
    """
    with tempfile.TemporaryDirectory(prefix=".distdnas-probe-", dir=folder, ignore_cleanup_errors=True) as name:
        answer, printed = Path(name) / "answer.json", Path(name) / "printed.txt"
        python = f"{shlex.quote(sys.executable)} - {shlex.quote(str(answer))} <<'END'\n{PROBE}END"
        script = "\n".join(["#!/bin/bash", *config.cluster.slurm.setup, python, ""])
        options = ["--time=5", "--job-name=distdnas-probe", f"--output={printed}", "--parsable"]
        sent = _ask("sbatch", *_options(config), *options, text=script)
        if not sent.works:
            yield Check("probe", "problem", f"sbatch refused it: {sent.told}")
            return
        job = sent.told.partition(";")[0]
        until = time.monotonic() + seconds
        try:
            while _ask("squeue", "--noheader", "--format=%T", f"--jobs={job}").told in UNENDED:
                if time.monotonic() > until:
                    yield Check(
                        "probe", "warning", f"its job {job} did not run within {seconds:.0f} s: ask again later"
                    )
                    return
                time.sleep(0.5)
        finally:
            _ask("scancel", job)
        shown = time.monotonic() + LATE_SECONDS
        while not answer.is_file() and time.monotonic() < shown:
            time.sleep(0.2)
        if not answer.is_file():
            lines = printed.read_text(errors="replace").split("\n") if printed.is_file() else []
            said = next(
                (line for line in reversed(lines) if line.strip()), "it printed nothing: do the nodes share it?"
            )
            yield Check("probe", "problem", f"its job {job} wrote nothing into {folder}: {said}")
            return
        told = json.loads(answer.read_text())
    yield Check("shared folder", "ok", f"{told['host']} writes {folder}")
    yield _check_torch(told, config)


def _check_torch(told: dict[str, Any], config: Config) -> Check:
    name = "GPU of a job"
    if "error" in told:
        return Check(name, "problem", f"on {told['host']}, {told['error']}; install where the nodes see it")
    if told["cuda"]:
        return Check(name, "ok", f"torch {told['torch']} sees {told['gpu']} on {told['host']}")
    said = f"torch {told['torch']} sees no GPU on {told['host']}"
    if config.cluster.slurm.gres is None:
        return Check(name, "ok", f"{said}, and none is asked for (cluster.slurm.gres)")
    remedy = "install the torch build for its driver"
    return Check(name, "problem" if config.cluster.device == "cuda" else "warning", f"{said}; {remedy}")


class _Answer(NamedTuple):
    works: bool
    told: str


def _ask(*command: str, text: str | None = None) -> _Answer:
    """Run a command of Slurm; `told` is what it printed, or why it did not work in one line."""
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return _Answer(False, f"there is no {command[0]} on this machine")
    except subprocess.TimeoutExpired:
        return _Answer(False, f"{command[0]} does not answer")
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split()).replace("sbatch: error: ", "")
        return _Answer(False, said or f"{command[0]} ended with status {done.returncode}")
    return _Answer(True, done.stdout.strip() or done.stderr.strip())


def _check_partition(slurm: Slurm, threads: int) -> Check:
    """Compare what is asked for with what the partition's nodes have."""
    asked = _ask("sinfo", "--noheader", "--format=%R|%l|%G|%m|%c")
    if not asked.works:
        return Check("partition", "warning", f"sinfo says nothing: {asked.told}")
    rows = [line.strip().split("|") for line in asked.told.splitlines()]
    names = sorted({row[0] for row in rows})
    default = _default_partition()
    name = slurm.partition or default
    if name is None:
        return Check("partition", "problem", f"the cluster has no default; set cluster.slurm.partition: {_list(names)}")
    here = [row for row in rows if row[0] in name.split(",")]
    if not here:
        return Check(
            "partition", "problem", f"there is no '{name}'; set cluster.slurm.partition to one of {_list(names)}"
        )
    wrong = []
    limit = max(_minutes(row[1]) for row in here)
    if slurm.time_minutes > limit:
        wrong.append(f"it ends jobs after {limit:.0f} minutes (cluster.slurm.time_minutes is {slurm.time_minutes})")
    if slurm.gres and not any(_has(row[2], slurm.gres) for row in here):
        offers = _list(sorted({row[2].partition("(")[0] for row in here}))
        wrong.append(f"no node has {slurm.gres} (cluster.slurm.gres); they have {offers}")
    memory = max(int(row[3].rstrip("+")) for row in here) / 1024
    if slurm.mem_gb and slurm.mem_gb > memory:
        wrong.append(f"its largest node has {memory:.0f} GB (cluster.slurm.mem_gb is {slurm.mem_gb:g})")
    cpus = max(int(row[4].rstrip("+")) for row in here)
    if threads > cpus:
        wrong.append(f"its largest node has {cpus} CPUs (cluster.threads is {threads})")
    if wrong:
        return Check("partition", "problem", f"'{name}': {'; '.join(wrong)}")
    return Check("partition", "ok", f"'{name}' has what a task asks for")


def _check_account(slurm: Slurm) -> Check:
    """Look whether the user has the account and the quality of service, where accounting tells."""
    command = ["sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={getpass.getuser()}"]
    asked = _ask(*command, "format=Account,QOS")
    if not asked.works:
        return Check("account", "ok", "no accounting answers, so none is needed")
    rows = [line.split("|") for line in asked.told.splitlines() if "|" in line]
    accounts = {row[0] for row in rows}
    if slurm.account and slurm.account not in accounts:
        return Check(
            "account",
            "problem",
            f"you have no '{slurm.account}'; set cluster.slurm.account to one of {_list(accounts)}",
        )
    qos = {name for row in rows if slurm.account in (None, row[0]) for name in row[1].split(",") if name}
    if slurm.qos and slurm.qos not in qos:
        return Check(
            "account", "problem", f"you have no qos '{slurm.qos}'; set cluster.slurm.qos to one of {_list(qos)}"
        )
    return Check("account", "ok", f"{slurm.account or 'your default'}, qos {slurm.qos or 'its default'}")


def _check_arrays(settings: str, tasks: dict[str, int]) -> Check:
    """Compare the largest stage with Slurm's limit; a launch splits it."""
    size = int(_setting(settings, "MaxArraySize", "1001"))
    stage, most = max(tasks.items(), key=lambda item: item[1])
    arrays = -(-most // (size - 1))
    told = f"an array may have {size - 1:,} tasks; the largest stage, {stage}, has {most:,}"
    return Check("limits", "ok", told if arrays == 1 else f"{told}, which become {arrays:,} arrays")


def _check_submission(config: Config) -> Check:
    """Let Slurm judge a job like a search's, without queueing it."""
    asked = _ask("sbatch", "--test-only", *_options(config), text="#!/bin/bash\ntrue\n")
    if not asked.works:
        return Check("submission", "problem", f"Slurm would refuse a search's job: {asked.told}; mend cluster.slurm")
    start = re.search(r"start at (\S+)", asked.told)
    return Check("submission", "ok", f"Slurm takes a search's job{f', to start at {start[1]}' if start else ''}")


def _options(config: Config) -> list[str]:
    """Return what a search's job asks for, as sbatch reads it."""
    slurm = config.cluster.slurm
    memory = f"{round(slurm.mem_gb * 1024)}M" if slurm.mem_gb is not None else None
    known: dict[str, Any] = {
        "partition": slurm.partition, "account": slurm.account, "qos": slurm.qos, "constraint": slurm.constraint,
        "gres": slurm.gres, "time": slurm.time_minutes, "mem": memory, "cpus-per-task": config.cluster.threads,
    }  # fmt: skip
    further = {key: None if value is True else value for key, value in slurm.sbatch.items() if value is not False}
    options = [f"--{key}={value}" for key, value in known.items() if value is not None]
    return options + [f"--{key}" if value is None else f"--{key}={value}" for key, value in further.items()]


def _default_partition() -> str | None:
    marked = _ask("sinfo", "--noheader", "--format=%P").told.split()
    return next((name.rstrip("*") for name in marked if name.endswith("*")), None)


def _has(gres: str, wanted: str) -> bool:
    """Whether a node's gres ('gpu:a5000:4(S:0-1),…') hold what a job wants ('gpu:a5000:1', 'gpu:1', 'gpu')."""
    kind = [part for part in wanted.split(":") if not part.isdigit()]
    count = next((int(part) for part in wanted.split(":") if part.isdigit()), 1)
    for offer in re.sub(r"\(.*?\)", "", gres).split(","):
        parts = offer.split(":")
        number = next((int(part) for part in parts if part.isdigit()), 1)
        if parts[: len(kind)] == kind and number >= count:
            return True
    return False


def _minutes(limit: str) -> float:
    """Read Slurm's '1-02:03:04', '30:00' (minutes and seconds) or 'infinite'."""
    if limit.strip() == "infinite":
        return float("inf")
    days, _, rest = limit.strip().rpartition("-")
    hours, minutes, seconds = ([0, 0, 0] + [int(part) for part in rest.split(":")])[-3:]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def _setting(settings: str, name: str, default: str) -> str:
    found = re.search(rf"^{name}\s*=\s*(\S+)", settings, re.MULTILINE)
    return found[1] if found else default


def _list(names: Sequence[str] | set[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:6]) + (", …" if len(shown) > 6 else "") if shown else "none"
