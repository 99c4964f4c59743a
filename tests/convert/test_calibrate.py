"""The fit of the converted layers to what batch normalization put out."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_gn import conversion_report, convert_bn_to_gn
from keras_gn.convert.calibrate import ChannelSums
from keras_gn.convert.transfer import Affine


def shift_scale_model(depth=1):
    """Convolutions and batch normalizations whose statistics are far from what the data have."""
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((12, 12, 3))])
    for index in range(depth):
        model.add(layers.Conv2D(16, 3, padding="same", name=f"conv{index}"))
        model.add(layers.BatchNormalization(name=f"norm{index}"))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(4))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.3, 2, weight.shape) for weight in layer.weights])
    return model


def images(count, seed=1):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 12, 12, 3)) + rng.normal(size=(count, 1, 1, 3))).astype("float32")


def distance(converted, model, x):
    y, reference = np.asarray(converted(x)), np.asarray(model(x))
    return np.sqrt(((y - reference) ** 2).mean() / reference.var())


@pytest.mark.parametrize("axis", [-1, 1])
def test_sums_fit_as_numpy_does(axis):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(60, 4, 5, 3)).astype("float32") + 1
    y = (z * [2.0, -1.0, 0.5] + [0, 3, 1] + 0.1 * rng.normal(size=z.shape)).astype("float32")
    sums = ChannelSums("norm")
    for batch in np.split(np.arange(60), [7, 30]):
        parts = [np.moveaxis(v[batch], -1, axis) for v in (z, y)]
        sums.add(*map(keras.ops.convert_to_tensor, parts), axis=axis)
    affine = sums.fit(Affine(gamma=np.ones(3), beta=np.zeros(3)))
    for channel in range(3):
        expected = np.polyfit(z[..., channel].ravel(), y[..., channel].ravel(), 1)
        np.testing.assert_allclose([affine.gamma[channel], affine.beta[channel]], expected, rtol=1e-4, atol=1e-5)
    fitted = z * affine.gamma + affine.beta
    expected = np.sqrt(((fitted - y) ** 2).mean() / np.mean(y.var((0, 1, 2))))
    assert sums.relative_error(affine) == pytest.approx(expected, rel=1e-3)


def test_a_channel_that_never_varies_keeps_its_gamma():
    sums = ChannelSums("norm")
    constant = keras.ops.ones((4, 2))
    sums.add(constant, 3 * constant, axis=-1)
    affine = sums.fit(Affine(gamma=np.array([5.0, 6.0]), beta=np.zeros(2)))
    np.testing.assert_allclose(affine.gamma, [5, 6])
    np.testing.assert_allclose(affine.gamma + affine.beta, 3)


@pytest.mark.parametrize("depth", [1, 6])
def test_data_brings_the_converted_model_nearer(depth):
    model, x = shift_scale_model(depth), images(64)
    plain = convert_bn_to_gn(model, groups=4)
    calibrated = convert_bn_to_gn(model, groups=4, calibration_data=images(64, seed=2), calibration_steps=0)
    assert distance(calibrated, model, x) < 0.5 * distance(plain, model, x)


def test_the_report_has_each_layer_s_error():
    model, x = shift_scale_model(), images(64)
    converted = convert_bn_to_gn(model, groups=4, calibration_data=x, calibration_steps=0)
    (row,) = conversion_report(converted)
    inner = [keras.Model(m.inputs[0], m.get_layer("norm0").output) for m in (model, converted)]
    reference, y = (np.asarray(m(x)) for m in inner)
    expected = np.sqrt(((y - reference) ** 2).mean() / reference.var((0, 1, 2)).mean())
    assert row.error == pytest.approx(expected, rel=1e-3)
    assert row.weights == "calibrated"


@pytest.mark.parametrize(("factor", "told"), [(1, None), (255, "vary 255 times"), (0, "vary 0 times")])
def test_data_of_another_scale_are_doubted(factor, told):
    model, x = shift_scale_model(), images(256)
    norm = model.get_layer("norm0")
    before = keras.Model(model.inputs[0], norm.input)(x)
    norm.moving_mean.assign(np.mean(before, (0, 1, 2)))
    norm.moving_variance.assign(np.var(before, (0, 1, 2)))
    converted = convert_bn_to_gn(model, groups=4, calibration_data=factor * x, calibration_steps=0)
    notes = [note for note in conversion_report(converted).notes if "calibration data" in note]
    assert len(notes) == (told is not None)
    assert told is None or told in notes[0]


class Frames(layers.Layer):
    """Normalizes frame by frame in a graph of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = layers.BatchNormalization()

    def build(self, input_shape):
        self.norm.build((input_shape[0], *input_shape[2:]))

    def call(self, clips):
        frames = keras.ops.transpose(clips, (1, 0, 2, 3, 4))
        return keras.ops.transpose(keras.ops.vectorized_map(self.norm, frames), (1, 0, 2, 3, 4))


def test_a_layer_in_a_traced_loop_keeps_its_closed_form():
    clip = keras.Input((3, 8, 8, 4))
    model = keras.Model(clip, layers.BatchNormalization(name="outer")(Frames()(clip)))
    data = np.random.default_rng(0).normal(size=(6, 3, 8, 8, 4)).astype("float32")
    report = conversion_report(convert_bn_to_gn(model, calibration_data=data, calibration_steps=0))
    assert [row.weights for row in report] == ["statistics", "calibrated"]
    assert report.rows[0].error is None


def test_the_original_is_not_watched_any_more():
    model = shift_scale_model()
    convert_bn_to_gn(model, calibration_data=images(16), calibration_steps=3)
    assert "call" not in vars(model.get_layer("norm0"))
    converted = convert_bn_to_gn(model, calibration_data=images(16), calibration_steps=3, inplace=True)
    assert "call" not in vars(converted.get_layer("norm0"))
