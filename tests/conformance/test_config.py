"""A configuration is JSON, and gives the same layer back."""

import json

import keras
import numpy as np

from conformance.descriptors import LAYERS, each


@each(LAYERS)
def test_config_round_trip(descriptor):
    layer = descriptor.build(name="here", trainable=False)
    config = json.loads(json.dumps(layer.get_config()))
    twin = descriptor.layer.from_config(config)
    assert json.loads(json.dumps(twin.get_config())) == config
    twin.build((None, *descriptor.input_shape[1:]))
    assert [w.name for w in twin.weights] == [w.name for w in layer.weights]
    twin.set_weights(layer.get_weights())
    inputs = descriptor.inputs()
    np.testing.assert_array_equal(twin(inputs), layer(inputs))


@each(LAYERS)
def test_building_leaves_the_config_as_it_was(descriptor):
    layer = descriptor.layer(**descriptor.settings)
    before = layer.get_config()
    layer(descriptor.inputs())
    assert layer.get_config() == before


@each(LAYERS)
def test_serialized_under_the_package_name(descriptor):
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(descriptor.build())))
    assert stored["registered_name"] == f"keras_gn>{descriptor.layer.__name__}"
    assert type(keras.saving.deserialize_keras_object(stored)) is descriptor.layer
