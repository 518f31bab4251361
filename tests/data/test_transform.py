"""f(x) against mathematics and numpy."""

import math

import numpy as np
import pytest

from distdnas_hpc.data.transform import transform


def test_is_odd_and_logarithmic():
    values = [transform(x) for x in (0, 1, -1, 100, -100)]
    assert values == pytest.approx([0, math.log(2), -math.log(2), math.log(101), -math.log(101)], rel=1e-15)


def test_is_the_formula_within_the_last_bits():
    values = np.random.default_rng(1).integers(1 - 2**31, 2**31, 5000)
    values[:4] = 0, 1, 2**31 - 1, 1 - 2**31
    expected = np.copysign(np.log1p(np.abs(values.astype(float))), values)
    np.testing.assert_allclose([transform(x) for x in values], expected, rtol=4e-15)
