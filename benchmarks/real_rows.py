"""The repository's 7,200 real Criteo rows, repeated to any length with as many distinct tokens as real logs have."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.rows import MISSING, NO_TOKEN, Rows

REAL = Path(__file__).parents[1] / "configs/data/criteo_kaggle_7200.tsv.gz"


def real_rows(n: int, seed: int = 1) -> Rows:
    """Return `n` rows with tokens.

    Every repetition is in another order, and tokens that come once in the 7,200 rows are drawn anew in each: frequent
    values stay frequent, and the tail of a column grows with the log, as in real ones.
    """
    rng = np.random.default_rng(seed)
    label, dense, tokens = _read()
    once = np.stack([_comes_once(column) for column in tokens.T], axis=1)
    picked = np.concatenate([rng.permutation(len(label)) for _ in range(-(-n // len(label)))])[:n]
    sparse = tokens[picked]
    for j in range(tokens.shape[1]):
        fresh = once[picked, j]
        sparse[fresh, j] = rng.integers(0, 2**32, np.count_nonzero(fresh))
    return Rows(label[picked], dense[picked], sparse)


def ids_of(tokens: NDArray[Any]) -> NDArray[np.int32]:
    """Return each token's rank in its column, from 1, as an exact map numbers them; 0 for `NO_TOKEN`."""
    ids = np.empty(tokens.shape, np.int32)
    for j, column in enumerate(tokens.T):
        distinct, rank = np.unique(column, return_inverse=True)
        ids[:, j] = rank + (distinct[0] != NO_TOKEN)
    return ids


def _read() -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int64]]:
    with gzip.open(REAL, "rt") as file:
        fields = [line.rstrip("\n").split("\t") for line in file]
    label = np.array([row[0] for row in fields], np.uint8)
    dense = np.array([[int(value) if value else MISSING for value in row[1:14]] for row in fields], np.int32)
    tokens = np.array([[int(value, 16) if value else NO_TOKEN for value in row[14:]] for row in fields], np.int64)
    return label, dense, tokens


def _comes_once(column: NDArray[np.int64]) -> NDArray[np.bool_]:
    _, rank, counts = np.unique(column, return_inverse=True, return_counts=True)
    return np.asarray((counts[rank] == 1) & (column != NO_TOKEN))
