"""What a student is taught: the outputs of the converted layers too, on samples and on mixtures of them."""

import keras
import numpy as np
import pytest

from convert.models import KINDS
from keras_gn.convert import convert_bn_to_gn, distill
from keras_gn.convert.lesson import drawn


def scaled_squares(target, output):
    target, output = (np.asarray(each).astype("float64") for each in (target, output))
    return np.mean((output - target) ** 2) / np.var(target)


def converted_by_hand(**settings):
    """A model with two norms, and it converted; and a function for the errors of the norms and the output."""
    inputs = keras.Input((8, 8, 3))
    conv = keras.layers.Conv2D(16, 3, bias_initializer="random_normal")
    first = keras.layers.BatchNormalization(name="first")(conv(inputs))
    second = keras.layers.BatchNormalization(name="second")(keras.layers.Conv2D(16, 3)(keras.ops.relu(first)))
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(second))
    teacher = keras.Model(inputs, outputs)
    student = convert_bn_to_gn(teacher, **settings)
    names = ("first", "second")
    models = [
        keras.Model(model.input, [*(model.get_layer(name).output for name in names), model.output])
        for model in (teacher, student)
    ]

    def errors():
        outputs = zip(*(model(IMAGES) for model in models), strict=True)
        return [scaled_squares(taught, given) for taught, given in outputs]

    return teacher, student, errors


IMAGES = np.random.default_rng(0).normal(size=(24, 8, 8, 3)).astype("float32") + 1


def test_converted_layers_are_matched():
    teacher, student, errors = converted_by_hand(weights="copy")
    *of_layers, of_output = errors()
    losses = distill(teacher, student, IMAGES, steps=150, learning_rate=3e-3, mixup=False)
    np.testing.assert_allclose(losses[0], of_output + np.mean(of_layers), rtol=1e-4)
    assert np.all(np.array(errors()[:2]) < 0.85 * np.array(of_layers))


def test_layers_need_not_be_matched():
    teacher, student, errors = converted_by_hand(weights="copy")
    expected = errors()[-1]
    losses = distill(teacher, student, IMAGES, steps=1, mixup=False, match_layers=False)
    np.testing.assert_allclose(losses[0], expected, rtol=1e-4)


MATCHED = (
    *("TimeDistributed norm", "TimeDistributed model", "recurrent cell", "bidirectional cell", "residual layer"),
    *("subclassed", "nested", "shared norm", "shared model", "inputs and outputs", "embedding mask"),
)


@pytest.mark.parametrize("name", MATCHED)
def test_kinds_of_models_that_are_matched(name):
    """Layers in loops over time are left out, those of the user's own code are not."""
    kind = KINDS[name]
    teacher = kind.make()
    student = convert_bn_to_gn(teacher, weights="copy")
    losses = distill(teacher, student, kind.inputs(), steps=30, learning_rate=3e-3, mixup=False)
    assert losses[-1] < losses[0]


def test_every_other_sample_is_a_mixture_of_two():
    samples = np.diag(np.arange(1.0, 9.0) + 0.5).astype("float32")
    mixed = next(drawn([samples], mixup=True))
    assert mixed.dtype == "float32"
    np.testing.assert_array_equal(mixed[::2], samples[::2])
    shares = mixed[1::2] / (np.arange(1, 9) + 0.5)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    assert 0 < np.diag(shares, 1)[0] < 1
    np.testing.assert_array_equal(next(drawn([samples], mixup=False)), samples)
    for tokens in (samples.astype("int32"), np.floor(10 * samples)):  # an embedding may take them as floats
        np.testing.assert_array_equal(next(drawn([tokens], mixup=True)), tokens)
    pixels = np.floor(np.random.default_rng(0).uniform(0, 256, (8, 4, 4, 3)))
    assert not np.array_equal(next(drawn([pixels], mixup=True)), pixels)
