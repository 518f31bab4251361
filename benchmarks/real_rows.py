"""The repository's 7,200 real Criteo rows, continued to any length as the log that they come from goes on.

The log (Criteo's Kaggle release) has 45,840,617 rows, and published numbers of distinct values (the DLRM reference).
Between 7,200 rows and these, distinct values are taken to grow as a power of the rows, as words do in texts (Heaps'
law): so 2 million rows have 0.6 million values of C3 and 7,000 of C7.
"""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.data.dictionary import Dictionary
from distdnas_hpc.data.rows import MISSING, NO_TOKEN, Columns

REAL = Path(__file__).parents[1] / "configs/data/criteo_kaggle_7200.tsv.gz"
LOG_ROWS = 45_840_617
LOG_DISTINCT = (
    *(1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194),
    *(27, 14992, 5461306, 10, 5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572),
)


def real_rows(n: int, seed: int = 1) -> Columns:
    """Return `n` rows with tokens.

    The rows are repeated, every time in another order. Values that come once in the 7,200 rows stand for the tail: each
    time they are drawn anew. As many draws bring a new value as the law above says; the others repeat an earlier draw,
    all equally likely, so that values seen often are drawn often (Simon, 1955).
    """
    rng = np.random.default_rng(seed)
    label, dense, tokens = _read()
    picked = np.concatenate([rng.permutation(len(label)) for _ in range(-(-n // len(label)))])[:n]
    sparse = tokens[:, picked]
    for column, values, in_log in zip(tokens, sparse, LOG_DISTINCT, strict=True):
        once = _comes_once(column)
        tail = once[picked]
        distinct = len(np.unique(column[column != NO_TOKEN]))
        exponent = max(np.log(in_log / distinct) / np.log(LOG_ROWS / len(label)), 0)
        rows = np.arange(1, np.count_nonzero(tail) + 1) / max(once.mean(), 1e-9)
        grown = (
            distinct * (np.maximum(rows / len(label), 1) ** exponent - 1)
            + np.minimum(rows / len(label), 1) * once.sum()
        )
        values[tail] = _draw_tail(np.floor(grown + 1e-6), rng)
    return Columns(label[picked], dense[:, picked], sparse)


def _draw_tail(distinct: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw tokens (n,) so that the first i of them have distinct[i - 1] different ones."""
    place = np.arange(len(distinct))
    is_new = np.diff(distinct, prepend=0) > 0
    # Each draw names the one that it repeats; following these names leads to a new one.
    source = np.where(is_new | (place == 0), place, (rng.random(len(place)) * place).astype(np.int64))
    while (source[source] != source).any():
        source = source[source]
    return rng.integers(0, 2**32, len(distinct))[source]


def codes_of(tokens: NDArray[Any]) -> NDArray[np.int32]:
    """Return the codes of tokens (sparse, n): each column's in the order of their first appearance."""
    codes = np.empty(tokens.shape, np.int32)
    for column, out in zip(tokens, codes, strict=True):
        Dictionary().encode(column, out)
    return codes


def _read() -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int64]]:
    with gzip.open(REAL, "rt") as file:
        fields = [line.rstrip("\n").split("\t") for line in file]
    label = np.array([row[0] for row in fields], np.uint8)
    dense = np.array([[int(value) if value else MISSING for value in row[1:14]] for row in fields], np.int32)
    tokens = np.array([[int(value, 16) if value else NO_TOKEN for value in row[14:]] for row in fields], np.int64)
    return label, np.ascontiguousarray(dense.T), np.ascontiguousarray(tokens.T)


def _comes_once(column: NDArray[np.int64]) -> NDArray[np.bool_]:
    _, rank, counts = np.unique(column, return_inverse=True, return_counts=True)
    return np.asarray((counts[rank] == 1) & (column != NO_TOKEN))
