"""Files are written whole or not at all."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from distdnas_hpc.errors import UserError
from distdnas_hpc.storage import ABANDONED, atomic_write, read_yaml, remove_leftovers, write_text, write_yaml


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_yaml_survives_with_its_order_and_letters(tmp_path):
    content = {"β": [0.1, 1e-9], "alpha": {"z": None, "a": "θ ≥ 0.2"}}
    write_yaml(tmp_path / "x.yaml", content)
    assert read_yaml(tmp_path / "x.yaml") == content
    assert list(read_yaml(tmp_path / "x.yaml")) == ["β", "alpha"]


def test_a_writer_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    write_text(tmp_path / "x", "old")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "x") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "x").read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_nothing_is_visible_of_a_writer_that_is_killed(tmp_path):
    code = (
        "import os, signal; from pathlib import Path; from distdnas_hpc.storage import atomic_write\n"
        "with atomic_write(Path('x')) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == -9
    assert not (tmp_path / "x").exists()
    assert all(name.startswith(".") for name in names(tmp_path))


def test_readers_see_whole_files_while_they_are_rewritten(tmp_path):
    path = tmp_path / "x.yaml"
    write_yaml(path, {"n": [0] * 2000})
    stop = threading.Event()

    def rewrite():
        n = 0
        while not stop.is_set():
            n += 1
            write_yaml(path, {"n": [n] * 2000})

    thread = threading.Thread(target=rewrite)
    thread.start()
    until = time.monotonic() + 0.5
    try:
        while time.monotonic() < until:
            assert len(set(read_yaml(path)["n"])) == 1
    finally:
        stop.set()
        thread.join()


def test_durable_files_are_synced_before_they_are_renamed(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, type(tmp_path).replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(type(tmp_path), "replace", lambda a, b: (events.append("rename"), replace(a, b))[1])
    write_text(tmp_path / "x", "text")
    assert events == ["fsync", "rename", "fsync"]
    events.clear()
    write_text(tmp_path / "x", "text", durable=False)
    assert events == ["rename"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [(None, "does not exist"), ("a: [", "is not valid YAML"), ("- 1", "should hold a mapping but holds list")],
)
def test_what_can_not_be_read_is_named(tmp_path, text, fault):
    path = tmp_path / "x.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=f"{path} {fault}"):
        read_yaml(path)


def test_leftovers_go_when_their_writer_is_dead_or_nobody_wrote_for_an_hour(tmp_path):
    """A twin at work, on this host or another, keeps its file."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here, digits = socket.gethostname(), "0123456789ab"
    kept = [f".a.{here}-{os.getpid()}-{digits}.tmp", f".b.elsewhere-{dead.pid}-{digits}.tmp", ".c.tmp", "d.pt"]
    gone = [f".a.{here}-{dead.pid}-{digits}.tmp", f".old.elsewhere-1-{digits}.tmp"]
    for name in kept + gone:
        (tmp_path / name).touch()
    os.utime(tmp_path / gone[1], (0, time.time() - ABANDONED - 1))
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(kept)


def test_what_a_killed_writer_leaves_is_known_as_its_own(tmp_path):
    code = (
        "import os, signal; from pathlib import Path; from distdnas_hpc.storage import atomic_write\n"
        "with atomic_write(Path('x')) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert len(names(tmp_path)) == 1
    with atomic_write(tmp_path / "x") as mine:
        mine.write_text("whole")
        remove_leftovers(tmp_path)
        assert names(tmp_path) == [mine.name]
    assert names(tmp_path) == ["x"]
