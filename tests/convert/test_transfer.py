"""The closed form: exact for a sample whose moments are the statistics, by slow formulas in float64."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_gn.convert.transfer import BatchNormValues, folded, from_statistics, values_of


def random_values(channels, seed):
    rng = np.random.default_rng(seed)
    mean = rng.normal(0, 10 ** rng.uniform(-2, 3), channels)
    variance = rng.lognormal(0, 3, channels)
    return BatchNormValues(rng.normal(size=channels), rng.normal(size=channels), mean, variance, epsilon=1e-3)


def batch_normalize(x, values):
    return values.gamma * (x - values.mean) / np.sqrt(values.variance + values.epsilon) + values.beta


@settings(max_examples=50, deadline=None)
@given(groups=st.integers(1, 6), size=st.integers(1, 8), seed=st.integers(0, 999))
def test_a_sample_with_the_moments_of_the_statistics_gets_the_same(groups, size, seed):
    values = random_values(groups * size, seed)
    x = np.random.default_rng(seed).normal(size=(500, groups * size))
    x = (x - x.mean(0)) / x.std(0) * np.sqrt(values.variance) + values.mean
    affine = from_statistics(values, groups=groups)
    y = np.empty_like(x)
    for group in np.split(np.arange(groups * size), groups):
        z = (x[:, group] - x[:, group].mean()) / np.sqrt(x[:, group].var() + values.epsilon)
        y[:, group] = affine.gamma[group] * z + affine.beta[group]
    expected = batch_normalize(x, values)
    np.testing.assert_allclose(y, expected, atol=1e-9 * np.abs(expected).max())


@given(seed=st.integers(0, 999))
def test_the_folded_map_is_batch_normalization(seed):
    values = random_values(5, seed)
    x = np.random.default_rng(seed).normal(size=(20, 5)) * 100
    affine = folded(values)
    expected = batch_normalize(x, values)
    np.testing.assert_allclose(affine.gamma * x + affine.beta, expected, atol=1e-12 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_values_of_a_layer_are_those_it_computes_with(center, scale):
    layer = keras.layers.BatchNormalization(center=center, scale=scale, epsilon=0.1)
    layer.build((None, 3))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in layer.weights])
    x = rng.normal(size=(10, 3)).astype("float32")
    np.testing.assert_allclose(layer(x), batch_normalize(x, values_of(layer)), rtol=1e-5, atol=1e-6)
