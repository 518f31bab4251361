"""The memory that a search is said to need, against its formula and against what a process really takes."""

import os
import subprocess
import sys

import pytest
import torch

from distdnas_hpc.config import Config
from distdnas_hpc.nn.architecture import Architecture
from distdnas_hpc.nn.macs import network_cost
from distdnas_hpc.nn.network import Network
from distdnas_hpc.search.memory import search_memory
from tests.prepared import prepare, write_day
from tests.shrunk import ROOT

BATCH = 2048
DAYS = {1: 2, 2: 6}
"""Batches of each day."""


def make_config(folder, **search) -> Config:
    return Config.model_validate(
        {
            "run": folder / "run",
            "data": {"schema": {"dense": 2, "sparse": 3}, "raw": f"{folder}/day_{{day}}", "days": 2},
            "model": {"blocks": 6, "dim_d": 64, "dim_s": 16, "n_s": 16},
            "cost": {"samples": 20, "trees": 10, "latency_weight": 0},
            "search": {"days": "1-2", "batch_size": BATCH} | search,
            "train": {"days": 1, "test_day": 2, "warmup_days": 0},
        }
    )


def test_adds_up_what_a_task_holds(tmp_path):
    config = make_config(tmp_path)
    memory = search_memory(config, (10, 100, 1000), 2, 3)
    weights = network_cost(lambda: Network(Architecture.full(6), config.model, 2, 3), 2, 3, 16).parameters
    assert memory.tables == 2 * 1110 * 16 * 4
    assert memory.network == weights * 4 * (4 + 1)  # of each weight: itself, gradient, two moments; the batch is a part
    assert memory.feed == 2 * 64 * 16_384 * (1 + 2 * 4 + 3 * 4 + 2 * 8) + 6 * BATCH * (4 + 2 * 4 + 3 * 8)
    assert memory.total == sum(memory)
    assert str(memory).startswith(f"at most {memory.total / 1e9:.2f} GB of memory (program 1.00, tables 0.00,")


def test_activations_grow_with_the_batch_and_second_order_keeps_three_more_networks(tmp_path):
    small, large, second = (
        search_memory(make_config(tmp_path, **search), (10,) * 3, 2, 3)
        for search in ({}, {"batch_size": 2 * BATCH}, {"bilevel": "second_order"})
    )
    assert large.activations == pytest.approx(2 * small.activations)
    assert second.activations == small.activations
    assert second.network == pytest.approx(small.network * 8 / 5)


PEAKS = """if True:
    import re, sys, torch
    from pathlib import Path
    from distdnas_hpc.data.manifest import Manifest
    from distdnas_hpc.search.cost import cost_importance
    from distdnas_hpc.search.day import search_day
    from tests.prepared import SILENT
    from tests.search.test_memory import make_config
    def kilobytes(name):
        return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
    root = Path(sys.argv[1])
    torch.set_num_threads(1)
    config, manifest, cpu = make_config(root), Manifest.load(root / "prepared"), torch.device("cpu")
    importance = cost_importance(config, 2, 3, cpu, SILENT)
    print(kilobytes("VmRSS"))
    for day in (1, 2):  # the short one first
        folder = root / str(day)
        folder.mkdir()
        search_day(config, day, manifest, importance, folder, cpu, SILENT)
        print(kilobytes("VmHWM"))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_process_stays_within_it_however_long_the_day(tmp_path):
    for day, batches in DAYS.items():
        write_day(tmp_path / f"day_{day - 1}", day, rows=batches * BATCH)
    manifest = prepare(make_config(tmp_path), tmp_path)
    # A fixed threshold keeps glibc from fragmenting its heap, which looks like growth but is not.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "262144"}
    command = [sys.executable, "-c", PEAKS, tmp_path]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    before, short, long = (1024 * int(line) for line in done.stdout.split())
    memory = search_memory(make_config(tmp_path), manifest.table_sizes, 2, 3, torch.device("cpu"))
    assert long < memory.total
    assert short - before > memory.activations / 2, "activations are most of what is measured"
    assert long - short < memory.activations / 4
