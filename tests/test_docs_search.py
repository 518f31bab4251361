"""docs/search.md: its commands work as written, its table is the config's, its numbers are the code's."""

import json
import re

import pytest
import yaml

from distdnas_hpc.config import Checkpoint, Cost, Optimizer, Search, Section, Temperature
from tests.shrunk import ROOT, distdnas

DOCS = (ROOT / "docs/search.md").read_text()
COMMANDS = [
    line.partition("#")[0].split()
    for block in re.findall(r"```sh\n(.*?)```", DOCS, re.S)
    for line in block.splitlines()
]
SECTIONS: dict[str, type[Section]] = {
    "search": Search,
    "search.temperature": Temperature,
    "optimizer": Optimizer,
    "cost": Cost,
    "checkpoint": Checkpoint,
}


def test_commands_work_in_the_order_given(unfinished):
    """On the shrunk quickstart, prepared and costed, day 1 not yet searched."""
    run, config = unfinished("search", "day_01")
    assert [command[:2] for command in COMMANDS] == [["distdnas", name] for name in ("cost", "search", "status")]
    here = {"configs/quickstart.yaml": config, "runs/quickstart": run}
    told = [distdnas(*(here.get(word, word) for word in command[1:])) for command in COMMANDS]
    assert [each.returncode for each in told] == [0, 0, 0], [each.stderr for each in told]
    (day,) = (task for task in json.loads(told[2].stdout) if (task["stage"], task["task"]) == ("search", "day_01"))
    assert day["state"] == "done"
    log = (run / "search/day_01/attempt_01/log.txt").read_text()
    assert re.search(r"at most [\d.]+ GB of memory \(program", log), "the log begins with the bound"
    assert re.search(r"day 1 searched: .*, [\d.]+ GB", log), "and ends with the peak"


def test_the_table_has_every_key_with_its_default():
    rows = re.findall(r"^\| `([\w.]+)` +\| (\S+) +\|", DOCS, re.M)
    fields = {
        f"{name}.{key}": field
        for name, section in SECTIONS.items()
        for key, field in section.model_fields.items()
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, Section))
    }
    assert sorted(key for key, _ in rows) == sorted(fields)
    for key, default in rows:
        assert (default == "–") == fields[key].is_required()
        if default != "–":
            told = yaml.safe_load(default)
            assert fields[key].default in (told, (told,)), key


@pytest.mark.parametrize(("batch", "told"), [(8192, r"([\d.]+) GB at batch 8,192"), (2048, r"([\d.]+) GB at 2,048")])
def test_the_memory_it_tells_is_what_a_task_will_tell(batch, told):
    import torch

    from benchmarks.search import TABLE_SIZES, paper_config
    from distdnas_hpc.data.criteo_terabyte import DENSE
    from distdnas_hpc.search.memory import search_memory

    config = paper_config()
    config = config.model_copy(update={"search": config.search.model_copy(update={"batch_size": batch})})
    memory = search_memory(config, TABLE_SIZES, DENSE, len(TABLE_SIZES), torch.device("cpu"))
    assert float(re.search(told, DOCS)[1]) == round(memory.total / 1e9, 1)
    assert f"{memory.activations / 1.1 / batch / 1000:.0f} kB at the paper's dimensions" in DOCS
