"""Kernels work wherever Python does, and are compiled anew when what they are made of changes."""

import os
import subprocess
import sys

PROGRAM = """if True:
    import kernels
    print(kernels.half(3.0), len(kernels.half.stats.cache_misses), len(kernels.half.stats.cache_hits))
"""
KERNELS = """if True:
    from distdnas_hpc.data.compiled import compiled
    from other_kernels import divide

    @compiled
    def half(x):
        return divide(x)
"""
OTHER_KERNELS = """if True:
    from constants import DIVISOR
    from distdnas_hpc.data.compiled import compiled

    @compiled
    def divide(x):
        return divide_by(x, DIVISOR)

    @compiled
    def divide_by(x, y):
        return x / y
"""


def write(folder, name, text) -> None:
    """Write a module, unless it is there."""
    path = folder / f"{name}.py"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def run(folder, divisor=2) -> str:
    """Call a kernel of a module in `folder` in a new process that has nowhere else to cache it."""
    write(folder, "kernels", KERNELS)
    write(folder, "other_kernels", OTHER_KERNELS)
    write(folder, "constants", f"DIVISOR = {divisor}\n")
    paths = os.pathsep.join([str(folder), *filter(None, sys.path)])
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA")}
    environment |= {"PYTHONPATH": paths, "XDG_CACHE_HOME": "/dev/null", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_kernel_is_compiled_once_and_then_comes_from_the_cache(tmp_path):
    assert run(tmp_path) == "1.5 1 0\n"
    assert run(tmp_path) == "1.5 0 1\n"


def test_a_kernel_is_compiled_anew_when_a_constant_two_modules_away_changes(tmp_path):
    assert run(tmp_path) == "1.5 1 0\n"
    assert run(tmp_path, divisor=4) == "0.75 1 0\n"
    assert run(tmp_path, divisor=4) == "0.75 0 1\n"


def test_a_kernel_works_where_nothing_can_be_cached(tmp_path):
    (tmp_path / "__pycache__").write_text("a file, so that no folder of this name can be made")
    assert run(tmp_path) == run(tmp_path) == "1.5 1 0\n"
