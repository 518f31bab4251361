"""Products of matrices of lanes against numpy's in float64."""

import numpy as np
import pytest

from distdnas_hpc.nn.lane_products import lanes_by_lanes, weights_by_lanes
from distdnas_hpc.nn.lanes import LANES

SIZES = [(1, 1, 1), (4, 4, 3), (5, 7, 2), (8, 3, 6)]


def lanes(generator, *shape):
    return generator.standard_normal((*shape, LANES), np.float32)


@pytest.mark.parametrize(("a", "b", "k"), SIZES)
def test_products_of_lanes_are_added(a, b, k):
    generator = np.random.default_rng(0)
    left, right, y = lanes(generator, a, k), lanes(generator, b, k), lanes(generator, a, b)
    expected = y + np.einsum("akl,bkl->abl", left.astype(float), right)
    lanes_by_lanes(a, b, k, left.ravel(), (0, k, 1), right.ravel(), (0, k, 1), y.ravel(), (0, b, 1))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("a", "b", "k"), SIZES)
def test_weights_are_the_same_in_all_lanes_and_steps_transpose(a, b, k):
    generator = np.random.default_rng(0)
    left = generator.standard_normal((k, 1 + a), np.float32)
    right, y = lanes(generator, k, b), lanes(generator, b, a)
    expected = y + np.einsum("ka,kbl->bal", left[:, 1:].astype(float), right)
    weights_by_lanes(a, b, k, left.ravel(), (1, 1, 1 + a), right.ravel(), (0, 1, b), y.ravel(), (0, 1, a))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("a", "b", "k"), SIZES)
def test_a_product_that_does_not_add_is_one_that_adds_to_zeros(a, b, k):
    generator = np.random.default_rng(0)
    weights, left, right = generator.standard_normal((a, k), np.float32), lanes(generator, a, k), lanes(generator, b, k)
    for product, factor in ((lanes_by_lanes, left), (weights_by_lanes, weights)):
        written, added = np.full((a, b, LANES), np.nan, np.float32), np.zeros((a, b, LANES), np.float32)
        for y, adds in ((written, False), (added, True)):
            product(a, b, k, factor.ravel(), (0, k, 1), right.ravel(), (0, k, 1), y.ravel(), (0, b, 1), adds)
        assert (written == added).all()
