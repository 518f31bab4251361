"""docs/evidence.md: its commands work as written, on few rows; its configs and tables are what it says."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from distdnas_hpc.config import load_config
from distdnas_hpc.storage import read_yaml
from tests import docs
from tests.shrunk import ROOT

PAGE = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
COMMANDS = docs.commands_of(PAGE)
SMALL = {
    "study": {"seeds": 1, "baselines": ["logistic_regression", "dlrm", "dcnv2"]},
    "planted": {"rows": 400, "click_rate": 0.3},
    "data": {"days": 3},
    "model": {"blocks": 1},
    "cost": {"samples": 20, "trees": 5},
    "search": {"days": 1, "batch_size": 100},
    "train": {"days": "1-2", "test_day": 3},
    "cluster": {"executor": "inline"},
}
"""Three days of 400 rows, one block, no other process."""
