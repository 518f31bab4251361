"""The quickstart, shrunk to seconds, and how tests run commands on it."""

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from distdnas_hpc.storage import read_yaml

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "distdnas_hpc"]
SMALL_BATCHES: dict[str, dict[str, Any]] = {
    "search": {"batch_size": 2},
    "train": {"batch_size": 4},
    "checkpoint": {"minutes": None, "steps": 20},
}
"""Makes tasks long enough to be interrupted."""


def write_config(folder: Path, **changes: dict[str, Any]) -> Path:
    """Write configs/quickstart.yaml with fewer days, blocks and samples; `changes` go over single keys of sections."""
    tree = yaml.safe_load((ROOT / "configs/quickstart.yaml").read_text())
    small: dict[str, dict[str, Any]] = {
        "data": {"raw": str(ROOT / tree["data"]["raw"]), "rows_per_day": 600, "days": 4},
        "model": {"blocks": 2},
        "cost": {"samples": 100},
        "search": {"days": "1-2"},
        "train": {"days": "1-3", "test_day": 4},
    }
    for section in {*small, *changes}:
        tree[section] = {**tree.get(section, {}), **small.get(section, {}), **changes.get(section, {})}
    tree["run"] = str(folder / "run")
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def write_config_with_a_deep_fault(folder: Path, **changes: dict[str, Any]) -> Path:
    """Write a config of a file a day whose second file has a faulty line 60,001: too deep for the look before a run."""
    rows = gzip.decompress((ROOT / "configs/data/criteo_kaggle_7200.tsv.gz").read_bytes()).splitlines(keepends=True)
    for day in range(4):
        of_day = rows[day * 600 : (day + 1) * 600]
        (folder / f"day_{day}").write_bytes(b"".join([*of_day * 100, b"1\t2\n"] if day == 1 else of_day))
    return write_config(folder, data={"raw": str(folder / "day_{day}"), "rows_per_day": None}, **changes)


def start(*arguments: object, **options: Any) -> "subprocess.Popen[str]":
    """Start the command, with a terminal width that sentences don't depend on."""
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb"}
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # A background job of a shell ignores Ctrl-C, and so would this process: give it the usual handler.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )


def distdnas(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=800)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def findings(run: Path) -> dict[str, Any]:
    """Return everything that a run found, less names, times and speeds: equal for equal seeds, bit for bit."""
    files = sorted([*run.glob("*/*/result.yaml"), *run.glob("*/*/a*.yaml"), *run.glob("prepared/*.yaml")])
    noise = ("task", "report", "seconds", "rows_per_second", "train_seconds")
    contents = {str(path.relative_to(run)): read_yaml(path) for path in files}
    return {name: {k: v for k, v in content.items() if k not in noise} for name, content in contents.items()}
