"""standardize_weight against the float64 reference."""

import keras
import numpy as np
import pytest
from conformance import reference

from keras_gn.ops import standardize_weight


@pytest.mark.parametrize("shape", [(3, 3, 4, 5), (1, 1, 16, 2), (2, 3, 3, 2, 4), (7, 3, 6)])
@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 0.02), (5.0, 0.1)])
def test_equals_the_reference(shape, mean, deviation):
    kernel = np.random.default_rng(0).normal(mean, deviation, shape).astype("float32")
    expected = reference.standardize_weight(kernel, epsilon=1e-5)
    np.testing.assert_allclose(standardize_weight(kernel, epsilon=1e-5), expected, atol=3e-5)


def test_filters_have_mean_0_and_variance_1():
    kernel = np.random.default_rng(0).normal(1.0, 0.01, (3, 3, 64, 8)).astype("float32")
    weights = np.asarray(standardize_weight(kernel), "float64").reshape(-1, 8)
    np.testing.assert_allclose(weights.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(weights.var(axis=0), 1.0, rtol=1e-4)


def test_half_precision_kernels_are_standardized_in_float32():
    kernel = np.full((3, 3, 2, 1), 300.0, "float16")
    kernel[0] = 301.0
    weights = standardize_weight(kernel)
    assert keras.backend.standardize_dtype(weights.dtype) == "float32"
    np.testing.assert_allclose(weights, reference.standardize_weight(kernel, epsilon=1e-10), rtol=1e-4)


def test_a_constant_filter_becomes_0():
    np.testing.assert_allclose(standardize_weight(np.full((3, 3, 4, 2), 0.5)), np.zeros((3, 3, 4, 2)))


def test_a_single_weight_is_refused():
    with pytest.raises(ValueError, match=r"more than one weight.*kernel shape=\(1, 1, 1, 8\)"):
        standardize_weight(np.ones((1, 1, 1, 8)))
