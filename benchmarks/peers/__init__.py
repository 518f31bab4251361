"""Programs of other projects that do the same work; each runs in a virtual environment of its own.

Each `PEER.py` beside this file is run with the peer's interpreter and prints the seconds that the work took.
"""

import contextlib
import subprocess
import sys
import sysconfig
import tempfile
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


class Worker:
    """A peer's program that goes on: it reads a line of numbers and answers 'seconds …' (see `peers/serving.py`)."""

    def __init__(self, python: Path, peer: str, *arguments: object) -> None:
        command = [str(python), str(Path(__file__).parent / f"{peer}.py"), *map(str, arguments)]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the worker)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._log, text=True)

    def ask(self, *numbers: int) -> float:
        """Return the seconds of one piece of work.

        Raises
        ------
        PeerUnavailableError : it has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print(*numbers, file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith("seconds "):
                return float(line.split()[1])
        self._log.seek(0)
        lines = self._log.read().strip().splitlines() or ["it ended without a word"]
        raise PeerUnavailableError(lines[-1])

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._log.close()


def _run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _last_line(error: subprocess.CalledProcessError) -> str:
    return str(error.stderr).strip().splitlines()[-1]
