"""A user's tf.function that was traced with batch normalization would go on computing it: refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gn.convert import ConversionError, convert_bn_to_gn
from keras_gn.layers import GroupNormalization


@keras.saving.register_keras_serializable("keras_gn_tests")
class Traced(keras.layers.Layer):
    """A norm inside of a `call` that TensorFlow traces."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = keras.layers.BatchNormalization()

    def build(self, shape):
        self.norm.build(shape)

    @tf.function
    def call(self, inputs):
        return self.norm(inputs)


class Served(keras.Model):
    """A norm, and a function for serving that may or may not have been used."""

    def __init__(self):
        super().__init__()
        self.norm = keras.layers.BatchNormalization()

    def call(self, inputs):
        return self.norm(inputs)

    @tf.function
    def serve(self, inputs):
        return self(inputs, training=False)


def images():
    return np.random.default_rng(0).normal(1.0, 2.0, (4, 8, 8, 4)).astype("float32")


def functional():
    inputs = keras.Input((8, 8, 4))
    return keras.Model(inputs, Traced(name="traced")(inputs))


@pytest.mark.parametrize("arguments", [{}, {"calibration_data": images()}, {"inplace": True}])
def test_a_traced_call_is_refused_by_its_path(arguments):
    model = functional()
    before = model(images())
    with pytest.raises(ConversionError, match=r"'traced' of type Traced has a tf.function, `call`, that was traced"):
        convert_bn_to_gn(model, **arguments)
    assert isinstance(model.get_layer("traced").norm, keras.layers.BatchNormalization)
    np.testing.assert_array_equal(model(images()), before)


def test_a_traced_function_beside_call_is_refused():
    model = Served()
    model.serve(images())
    with pytest.raises(ConversionError, match=r"'served' of type Served has a tf.function, `serve`"):
        convert_bn_to_gn(model, inplace=True)


def test_a_function_that_was_never_traced_computes_the_converted_layers():
    model = Served()
    model(images())
    converted = convert_bn_to_gn(model, inplace=True)
    assert isinstance(converted.norm, GroupNormalization)
    np.testing.assert_allclose(converted.serve(images()), converted.norm(images()), atol=1e-6)


def test_what_keras_traces_itself_is_made_anew():
    model = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.BatchNormalization(name="norm")])
    model.compile("sgd", "mse")
    model.predict(images(), verbose=0)
    convert_bn_to_gn(model, inplace=True)
    np.testing.assert_allclose(model.predict(images(), verbose=0), model.get_layer("norm")(images()), atol=1e-6)
