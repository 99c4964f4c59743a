"""Gamma and beta are trained after least squares: nearer to the model, and nothing else changes."""

import keras
import numpy as np
import pytest
from keras.layers import BatchNormalization

from convert.conftest import all_layers, arrays, identical, weights_of
from convert.models import KINDS, images
from keras_gn.convert import conversion_report, convert_bn_to_gn
from keras_gn.layers import GroupNormalization

NAMES = ("functional", "subclassed", "TimeDistributed model", "recurrent cell", "shared model", "frozen inner model")


def inputs_of(kind):
    """Samples whose contrast differs, which batch normalization keeps and group normalization doesn't."""
    x = np.concatenate([kind.inputs()] * 6)
    contrast = np.random.default_rng(1).uniform(0.2, 2, (len(x), *[1] * (x.ndim - 1)))
    return (x * contrast).astype(x.dtype)


def distance(model, other, x):
    pairs = zip(arrays(model(x, training=False)), arrays(other(x, training=False)), strict=True)
    return float(np.mean([np.mean((one.astype("float64") - two) ** 2) for one, two in pairs]))


@pytest.mark.parametrize("name", NAMES)
def test_it_comes_nearer_and_all_other_weights_stay(name):
    model, x = KINDS[name].make(), inputs_of(KINDS[name])
    squares, refined = (convert_bn_to_gn(model, calibration_data=x, calibration_steps=steps) for steps in (0, 60))
    assert distance(model, refined, x) < distance(model, squares, x)
    for one, two in zip(all_layers(squares), all_layers(refined), strict=True):
        assert one.trainable == two.trainable
        if isinstance(one, GroupNormalization):
            assert not identical(weights_of(one), weights_of(two))
        elif not list(one._flatten_layers(include_self=False)):
            assert identical(weights_of(one), weights_of(two))


def test_gamma_and_beta_of_least_squares_stay_where_they_do_better(monkeypatch):
    monkeypatch.setattr("keras_gn.convert.refine._LEARNING_RATE", 0.3)  # too far in each step
    model, x = KINDS["functional"].make(), images()
    squares, refined = (convert_bn_to_gn(model, calibration_data=x, calibration_steps=steps) for steps in (0, 5))
    assert identical(weights_of(refined), weights_of(squares))


def test_in_place_and_on_a_copy_are_the_same():
    x = inputs_of(KINDS["functional"])
    model = KINDS["functional"].make()
    copied = convert_bn_to_gn(model, calibration_data=x, calibration_steps=5)
    convert_bn_to_gn(model, calibration_data=x, calibration_steps=5, inplace=True)
    for one, two in zip(model.get_weights(), copied.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_the_report_tells_the_errors_of_the_weights_that_the_layers_have():
    model, x = KINDS["functional"].make(), inputs_of(KINDS["functional"])
    refined = convert_bn_to_gn(model, calibration_data=x, calibration_steps=40)
    inner = [keras.Model(m.input, m.get_layer("norm1").output) for m in (model, refined)]
    target, output = (np.asarray(m(x), "float64") for m in inner)
    deviation = np.sqrt(np.mean(np.var(target, axis=(0, 1, 2))))
    expected = np.sqrt(np.mean((target - output) ** 2)) / deviation
    errors = {row.path: row.error for row in conversion_report(refined)}
    np.testing.assert_allclose(errors["norm1"], expected, rtol=1e-3)


def test_training_that_diverges_leaves_least_squares_and_a_note(monkeypatch):
    model, x = KINDS["functional"].make(), images()
    squares = convert_bn_to_gn(model, calibration_data=x, calibration_steps=0)
    monkeypatch.setattr("keras_gn.convert.refine._LEARNING_RATE", 1e38)
    converted = convert_bn_to_gn(model, calibration_data=x, calibration_steps=9)
    assert identical(weights_of(converted), weights_of(squares))
    assert "those of least squares, for the model can't be trained: " in conversion_report(converted).notes[0]


class NeedsValues(keras.layers.Layer):
    def call(self, inputs):
        return inputs * float(np.max(keras.ops.convert_to_numpy(inputs)) > -1e9)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)


def test_a_model_that_cannot_be_trained_is_calibrated_by_least_squares_and_says_so():
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, BatchNormalization()(NeedsValues()(keras.layers.Conv2D(8, 3)(inputs))))
    converted = convert_bn_to_gn(model, calibration_data=images(), inplace=True)
    (note,) = conversion_report(converted).notes
    assert "can't be trained" in note
    assert [row.weights for row in conversion_report(converted)] == ["calibrated"]


def test_layers_that_no_data_reaches_are_left_alone():
    class WithSpare(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.spare = BatchNormalization(name="used"), BatchNormalization(name="spare")

        def build(self, input_shape):
            self.used.build(input_shape)
            self.spare.build(input_shape)
            super().build(input_shape)

        def call(self, inputs):
            return self.used(inputs)

    model = WithSpare()
    model(images(16, 16, 8))
    convert_bn_to_gn(model, calibration_data=images(16, 16, 8), calibration_steps=2, inplace=True)
    weights = {row.path: row.weights for row in conversion_report(model)}
    assert weights == {"used": "calibrated", "spare": "statistics"}


@pytest.mark.parametrize("steps", [-1, 1.5, True, None])
def test_bad_steps(steps):
    with pytest.raises(
        ValueError, match=r"`calibration_steps` must be a number of steps.*Received: calibration_steps="
    ):
        convert_bn_to_gn(KINDS["functional"].make(), calibration_data=images(), calibration_steps=steps)
