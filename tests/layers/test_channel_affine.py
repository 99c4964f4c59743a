"""ChannelAffine: batch normalization at inference, its own arguments, and bad input."""

import json

import keras
import numpy as np
import pytest

from keras_gn.layers import ChannelAffine

IMAGES = np.random.default_rng(0).normal(1.0, 2.0, (2, 6, 5, 8)).astype("float32")


@pytest.mark.parametrize("axis", [-1, 1, 2])
def test_equals_batch_normalization_at_inference(axis):
    normalization = keras.layers.BatchNormalization(axis=axis, epsilon=1e-5)
    normalization.build(IMAGES.shape)
    generator = np.random.default_rng(1)
    g, b, m, v = (generator.uniform(0.5, 2.0, w.shape) for w in normalization.get_weights())
    normalization.set_weights([g, b, m, v])
    affine = ChannelAffine(axis)
    affine.build(IMAGES.shape)
    gamma = g / np.sqrt(v + 1e-5)
    affine.set_weights([gamma, b - gamma * m])
    np.testing.assert_allclose(affine(IMAGES, training=True), normalization(IMAGES), rtol=1e-5, atol=1e-5)


def test_a_new_layer_is_the_identity():
    np.testing.assert_array_equal(ChannelAffine()(IMAGES), IMAGES)
    plain = ChannelAffine(center=False, scale=False)
    np.testing.assert_array_equal(plain(IMAGES), IMAGES)
    assert plain.weights == []


def test_everything_but_the_axis_is_given_by_name():
    with pytest.raises(TypeError, match="positional"):
        ChannelAffine(-1, False)


def test_mixed_float16_takes_inputs_beyond_its_range():
    layer = ChannelAffine(gamma_initializer=keras.initializers.Constant(1e-5), dtype="mixed_float16")
    y = layer(IMAGES * 1e5)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    np.testing.assert_allclose(y, IMAGES, rtol=1e-3, atol=1e-3)


def test_integers_are_computed_as_floats():
    layer = ChannelAffine(gamma_initializer=keras.initializers.Constant(0.5))
    y = layer(np.arange(8, dtype="int32").reshape(2, 4))
    np.testing.assert_array_equal(y, np.arange(8).reshape(2, 4) / 2)


def test_arguments_survive_the_config():
    layer = ChannelAffine(
        np.int64(1),
        scale=False,
        beta_initializer=keras.initializers.RandomUniform(seed=3),
        beta_regularizer="l2",
        gamma_regularizer="l1",
        beta_constraint="unit_norm",
        gamma_constraint="non_neg",
    )
    config = json.loads(json.dumps(layer.get_config()))
    assert ChannelAffine.from_config(config).get_config() == config
    assert (config["axis"], config["scale"], config["center"]) == (1, False, True)


def test_regularizers_and_constraints_are_applied():
    layer = ChannelAffine(
        gamma_regularizer="l2", beta_regularizer="l1", gamma_constraint="non_neg", beta_constraint="unit_norm"
    )
    layer(IMAGES)
    np.testing.assert_allclose(layer.losses, [8 * 0.01, 0.0], rtol=1e-6)
    assert type(layer.gamma.constraint) is keras.constraints.NonNeg
    assert type(layer.beta.constraint) is keras.constraints.UnitNorm


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ([1, 2], r"`axis` must be one integer.*Received: axis=\[1, 2\]"),
        (True, "Received: axis=True"),
        ("channels", "Received: axis='channels'"),
    ],
)
def test_bad_arguments(axis, message):
    with pytest.raises(ValueError, match=message):
        ChannelAffine(axis)


@pytest.mark.parametrize(
    ("axis", "shape", "message"),
    [
        (0, (4, 8, 8, 32), "axis 0 is the batch axis"),
        (4, (4, 8, 8, 32), "`axis` is out of bounds"),
        (-1, (None, 8, None), "should have a defined dimension"),
    ],
)
def test_shapes_without_known_channels(axis, shape, message):
    with pytest.raises(ValueError, match=message):
        ChannelAffine(axis).build(shape)


def test_another_map_size_but_not_another_number_of_channels():
    layer = ChannelAffine()
    layer(IMAGES)
    assert layer(IMAGES[:, :2, :3]).shape == (2, 2, 3, 8)
    with pytest.raises(ValueError, match="expected axis 3"):
        layer(IMAGES[..., :4])
