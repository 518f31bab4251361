"""Programs of other projects that do the same work; each runs in a virtual environment of its own.

Each `PEER.py` beside this file is run with the peer's interpreter and prints the seconds that the work took.
"""

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[2] / ".venv-bench"


class PeerUnavailableError(Exception):
    """Says why a peer can't be measured here."""


def install(name: str, *steps: Sequence[str]) -> Path:
    """Make the virtual environment of a peer, unless it is there, and return its interpreter.

    Parameters
    ----------
    steps : arguments of `pip install`, one call each. What this interpreter has, as torch, is not installed again.
    """
    folder = ENVIRONMENTS / name
    python = folder / "bin/python"
    done = folder / "installed"
    if done.exists():
        return python
    try:
        _run(sys.executable, "-m", "venv", "--clear", folder)
        packages = _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        (Path(packages) / "seen.pth").write_text(sysconfig.get_path("purelib"))
        for step in steps:
            _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *step)
    except subprocess.CalledProcessError as error:
        raise PeerUnavailableError(_last_line(error)) from None
    done.touch()
    return python


def seconds(python: Path, peer: str, *arguments: str | Path) -> float:
    """Run a peer's program once, on the cores that this process may use, and return the seconds that it prints."""
    try:
        return float(_run(python, Path(__file__).parent / f"{peer}.py", *arguments).split()[-1])
    except subprocess.CalledProcessError as error:
        raise PeerUnavailableError(_last_line(error)) from None


def _run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _last_line(error: subprocess.CalledProcessError) -> str:
    return str(error.stderr).strip().splitlines()[-1]
