"""A truth to be found: rows like Criteo's whose click probability is a known mixture of interactions.

The logit of a row is b + Σ σ_p·z_p over the parts p, each z_p of mean 0 and variance 1 over the day's rows; b makes the
mean click probability what it should be. Of each kind of column the first C matter; all columns are independent.

    u_j      (log(1 + x) - μ)/s of dense column j, 0 where missing: what a model finds after preparation, nearly normal
    v_j, …   weights and hidden vectors of sparse column j's token, 0 where missing; their mean over the tokens of a
             column, by frequency, is 0, so that no interaction shows in one column alone
    linear       Σ_j a_j·u_j + Σ_j w_j
    products     Σ_{j<k} ⟨v_j, v_k⟩                             as a factorisation machine (Rendle, 2010, eq. 1)
    crosses      Σ_{j<k} c_jk·u_j·u_k
    attention    Σ_{j>1} (t_j - 1/(C-1))·w_j,  t = softmax_j ⟨q_1, k_j⟩    one query (Vaswani et al., 2017, eq. 1)

Every weight and vector of day t is cos(δ(t-1))·A + sin(δ(t-1))·B with A, B drawn once from normal distributions: its
distribution is the same on all days, and days t and t' agree with correlation cos(δ(t-t')). δ is `planted.drift`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from distdnas_hpc.config import Planted
from distdnas_hpc.data.rows import MISSING

Floats = NDArray[np.float64]

_MU, _S = 5.0, 1.0
"""Of log(1 + x): counts around 150, where rounding to whole numbers changes u by less than a hundredth."""

_SHARPNESS = 3.0
"""Standard deviation of ⟨q, k⟩: a softmax that mostly selects one column."""

_CALIBRATION = 1 << 16
"""Rows over which parts are standardised and b is found; the same ones every day."""


@dataclass(frozen=True)
class PlantedRows:
    """Rows without labels, column by column.

    Attributes
    ----------
    dense : (dense, n) int32, `MISSING` where empty.
    tokens : (sparse, n) int64, 1 for a column's most frequent token, 2 for the next, …; 0 where missing.
    """

    dense: NDArray[np.int32]
    tokens: NDArray[np.int64]


class Truth:
    """What decides clicks on one day.

    Parameters
    ----------
    dense, sparse : number of columns.
    day : from 1.
    """

    def __init__(self, plant: Planted, dense: int, sparse: int, day: int) -> None:
        self._plant, self._shape = plant, (dense, sparse)
        frequency = np.arange(1, plant.tokens + 1.0) ** -plant.exponent
        self._frequency = frequency / frequency.sum()
        rng, angle = np.random.default_rng([plant.seed, 0]), plant.drift * (day - 1)

        def turned(*shape: int) -> Floats:
            a, b = rng.standard_normal((2, *shape))
            return np.cos(angle) * a + np.sin(angle) * b

        def of_tokens(*shape: int) -> Floats:
            """Draw something of every token, (C, 1 + tokens, …)."""
            table = turned(plant.columns, plant.tokens, *shape)
            table -= np.einsum("t,ct...->c...", self._frequency, table)[:, None]
            return np.concatenate([np.zeros_like(table[:, :1]), table], axis=1)

        # Drawn whether they are needed or not, so that a part is the same beside others as alone.
        self._dense_weights, self._token_weights = turned(plant.columns), of_tokens()
        self._vectors = of_tokens(plant.rank)
        self._pairs = list(combinations(range(plant.columns), 2))
        self._pair_weights = turned(len(self._pairs))
        self._queries, self._keys, self._values = of_tokens(plant.rank), of_tokens(plant.rank), of_tokens()
        self._calibrate(self.draw(_CALIBRATION, np.random.default_rng([plant.seed, 0, 0])))

    def draw(self, n: int, rng: np.random.Generator) -> PlantedRows:
        """Draw n rows."""
        dense, sparse = self._shape
        counts = np.exp(_MU + _S * rng.standard_normal((dense, n))).round().clip(max=2**31 - 1).astype(np.int32)
        tokens = 1 + np.searchsorted(self._frequency.cumsum(), rng.random((sparse, n)))
        tokens = tokens.clip(max=self._plant.tokens)  # where a sum ends a rounding error below 1
        counts[rng.random((dense, n)) < self._plant.missing] = MISSING
        tokens[rng.random((sparse, n)) < self._plant.missing] = 0
        return PlantedRows(counts, tokens)

    def probability(self, rows: PlantedRows) -> Floats:
        """Return the click probability of every row, (n,)."""
        return _sigmoid(self._intercept + self.signal(rows))

    def signal(self, rows: PlantedRows) -> Floats:
        """Return the logit of every row without b, (n,)."""
        total = np.zeros(rows.dense.shape[1])
        for name, (mean, std) in self._moments.items():
            total += getattr(self._plant.parts, name) * (self._part(name, rows) - mean) / std
        return total

    def _calibrate(self, rows: PlantedRows) -> None:
        self._moments: dict[str, tuple[float, float]] = {}
        for name, size in self._plant.parts:
            if size > 0:
                values = self._part(name, rows)
                self._moments[name] = float(values.mean()), float(values.std())
        signal, low, high = self.signal(rows), -60.0, 60.0
        for _ in range(60):  # halves the interval in which b lies
            b = (low + high) / 2
            low, high = (b, high) if _sigmoid(b + signal).mean() < self._plant.click_rate else (low, b)
        self._intercept = (low + high) / 2

    def _part(self, name: str, rows: PlantedRows) -> Floats:
        parts: dict[str, Callable[[Floats, NDArray[np.int64]], Floats]] = {
            "linear": self._linear,
            "products": self._products,
            "crosses": self._crosses,
            "attention": self._attention,
        }
        matter = self._plant.columns
        return parts[name](_features(rows.dense[:matter]), rows.tokens[:matter])

    def _linear(self, u: Floats, tokens: NDArray[np.int64]) -> Floats:
        return self._dense_weights @ u + _of_each(self._token_weights, tokens).sum(axis=0)

    def _products(self, _u: Floats, tokens: NDArray[np.int64]) -> Floats:
        v = _of_each(self._vectors, tokens)
        # Σ_{j<k} ⟨v_j, v_k⟩ = (|Σ v_j|² - Σ |v_j|²)/2
        return ((v.sum(axis=0) ** 2).sum(axis=-1) - (v**2).sum(axis=(0, -1))) / 2

    def _crosses(self, u: Floats, _tokens: NDArray[np.int64]) -> Floats:
        total = np.zeros(u.shape[1])
        for weight, (j, k) in zip(self._pair_weights, self._pairs, strict=True):
            total += weight * u[j] * u[k]
        return total

    def _attention(self, _u: Floats, tokens: NDArray[np.int64]) -> Floats:
        query = self._queries[0][tokens[0]]
        keys, values = _of_each(self._keys, tokens)[1:], _of_each(self._values, tokens)[1:]
        scores = np.exp(_SHARPNESS / np.sqrt(self._plant.rank) * (query * keys).sum(axis=-1))
        chosen = scores / scores.sum(axis=0) - 1 / len(scores)
        return np.asarray((chosen * values).sum(axis=0))


def _features(dense: NDArray[np.int32]) -> Floats:
    """Return u from integers as they are written."""
    return np.where(dense == MISSING, 0, (np.log1p(np.maximum(dense, 0)) - _MU) / _S)


def _of_each(tables: Floats, tokens: NDArray[np.int64]) -> Floats:
    """Look up column by column: (C, 1 + tokens, …) at (C, n) gives (C, n, …)."""
    return np.stack([table[column] for table, column in zip(tables, tokens, strict=True)])


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))
