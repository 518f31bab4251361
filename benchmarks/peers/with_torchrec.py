"""Criteo text to arrays with torchrec's own preprocessing: argument 1 is the file, 2 a folder for the arrays."""
# ruff: noqa: T201

import sys
import time

from torchrec.datasets.criteo import BinaryCriteoUtils

start = time.perf_counter()
BinaryCriteoUtils.tsv_to_npys(sys.argv[1], *(f"{sys.argv[2]}/{name}.npy" for name in ("dense", "sparse", "labels")))
print(time.perf_counter() - start)
