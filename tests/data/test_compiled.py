"""Kernels work wherever Python does."""

import os
import subprocess
import sys

PROGRAM = """if True:
    import kernels
    assert kernels.half(3.0) == 1.5
    print(len(kernels.half.stats.cache_misses), len(kernels.half.stats.cache_hits))
"""
KERNELS = """if True:
    from distdnas_hpc.data.compiled import compiled

    @compiled
    def half(x):
        return x / 2
"""


def run(folder) -> str:
    """Call a kernel of a module in `folder` in a new process that has nowhere else to cache it."""
    (folder / "kernels.py").write_text(KERNELS)
    paths = os.pathsep.join([str(folder), *filter(None, sys.path)])
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA")}
    environment |= {"PYTHONPATH": paths, "XDG_CACHE_HOME": "/dev/null", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_kernel_is_compiled_once_and_then_comes_from_the_cache(tmp_path):
    assert run(tmp_path) == "1 0\n"
    assert run(tmp_path) == "0 1\n"


def test_a_kernel_works_where_nothing_can_be_cached(tmp_path):
    (tmp_path / "__pycache__").write_text("a file, so that no folder of this name can be made")
    assert run(tmp_path) == run(tmp_path) == "1 0\n"
