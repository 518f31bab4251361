"""What a terminal shows of the architecture before all days are searched."""

import io

import numpy as np
import pytest
from rich.console import Console

from distdnas_hpc.report.forming import forming
from distdnas_hpc.storage import write_yaml

FIRST = [[0.5, 0.2, 0.1, 0.1, 0.1]]
SECOND = [[0.1, 0.4, 0.3, 0.1, 0.1]]


@pytest.fixture
def search(tmp_path):
    """Writes the search of a day with one block."""

    def write(day: int, weights, *, done: bool = True):
        folder = tmp_path / f"search/day_{day:02d}"
        folder.mkdir(parents=True)
        write_yaml(folder / "architecture.yaml", {"day": day, "config": "c", "alpha": weights, "beta": weights})
        if done:
            write_yaml(folder / "result.yaml", {"rows": 1})

    return write


def drawn(picture) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(picture)
    return console.file.getvalue()


def test_before_the_first_day_there_is_nothing(tmp_path, search):
    search(1, FIRST, done=False)
    assert forming(tmp_path, (1, 2, 3), 0.2) is None


def test_the_mean_is_over_the_days_that_are_done(tmp_path, search):
    search(1, FIRST)
    search(2, SECOND)
    search(3, [np.full(5, 0.2).tolist()], done=False)
    told = drawn(forming(tmp_path, (1, 2, 3), 0.25))
    assert "0.30" in told  # of .5 and .1; of .2 and .4
    assert "Mean of 2 of 3 days (days 1–2); θ=0.25 would keep 4 modules in 1 block" in told


def test_all_days_are_said_to_be_all(tmp_path, search):
    search(4, SECOND)
    assert "Mean of 1 day (day 4); θ=0.3 would keep 4 modules" in drawn(forming(tmp_path, (4,), 0.3))
