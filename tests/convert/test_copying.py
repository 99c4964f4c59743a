"""Copies that are faithful, or refused."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_gn.convert.copying import copy_model as copy_with_layers
from keras_gn.convert.errors import ConversionError
from keras_gn.convert.tree import find_layers


def copy_model(model):
    copied, _ = copy_with_layers(model, find_layers(model, layers.Layer))
    return copied


def assert_same_weights(copied, model):
    for weight, other in zip(model.weights, copied.weights, strict=True):
        np.testing.assert_array_equal(weight, other)
        assert weight is not other
        assert weight.trainable == other.trainable


def test_a_copy_shares_nothing():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(trainable=False)])
    copied = copy_model(model)
    assert_same_weights(copied, model)
    copied.layers[0].kernel.assign(keras.ops.zeros((4, 3)))
    assert np.abs(model.layers[0].kernel).max() > 0


def test_a_layer_shared_by_two_nested_models_stays_shared():
    shared = layers.Dense(4, name="shared")
    image = keras.Input((4,))
    first = keras.Sequential([keras.Input((4,)), shared], name="first")
    second = keras.Sequential([keras.Input((4,)), shared, layers.Dense(2)], name="second")
    copied = copy_model(keras.Model(image, second(first(image))))
    assert copied.get_layer("first").get_layer("shared") is copied.get_layer("second").get_layer("shared")


def test_a_layer_without_its_arguments_is_refused():
    class Forgetful(layers.Layer):
        def __init__(self, values):
            super().__init__(name="forgetful")
            self.values = values

        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((4,)), Forgetful(np.ones(3))])
    with pytest.raises(ConversionError, match=r"(?s)can't be copied.*Forgetful.*inplace=True"):
        copy_model(model)


def test_a_copy_of_another_structure_is_refused():
    class Grown(layers.Layer):
        """Has layers that its config doesn't tell."""

        def add(self):
            self.dense = layers.Dense(4)
            return self

        def call(self, x):
            return self.dense(x)

    model = keras.Sequential([keras.Input((4,)), Grown(name="grown").add()])
    with pytest.raises(ConversionError, match=r"grown\.dense|Grown"):
        copy_model(model)
