"""Reading commands out of pages, and running them as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.shrunk import COMMAND, ROOT


def commands_of(page: str) -> list[list[str]]:
    """Every command of a page's sh blocks, and of the tables where a row ends in one, in order, as words."""
    lines = re.findall(r"```sh\n(.*?)```|\| `((?:python|distdnas) [^`\n]*)` \|$", page, re.DOTALL | re.MULTILINE)
    return [line.partition("#")[0].split() for block, cell in lines for line in (block or cell).splitlines()]


def run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command as from a checkout that lies in `folder`, where no Slurm is: what it would submit runs in line."""
    if command[0] == "distdnas":
        inline = ["--cluster", "inline"] if command[1] in ("run", "compare", "prepare", "cost") else []
        words = [*COMMAND, *(word for word in command[1:] if word != "--detach"), *inline]
    else:
        assert command[0] == "python"
        words = [sys.executable, *command[1:]]
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb", "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, env=environment, timeout=300)
