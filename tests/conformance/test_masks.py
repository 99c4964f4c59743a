"""A mask passes through a normalization, and the statistics don't use it."""

import keras
import numpy as np

from conformance.descriptors import NORMALIZATIONS, each


class MaskAsOutput(keras.layers.Layer):
    """Gives the mask that reaches it."""

    supports_masking = True

    def call(self, inputs, mask=None):
        return keras.ops.cast(mask, "float32")


@each(NORMALIZATIONS)
def test_mask_passes_through(descriptor):
    layer = descriptor.build()
    inputs = descriptor.inputs()
    mask = np.arange(inputs.shape[1]) % 2 == np.zeros((len(inputs), 1))
    np.testing.assert_array_equal(layer(inputs, mask=mask, training=True), layer(inputs))
    np.testing.assert_array_equal(layer.compute_mask(inputs, mask), mask)


@each([descriptor for descriptor in NORMALIZATIONS if len(descriptor.input_shape) == 3])
def test_mask_of_a_masking_layer_reaches_the_next_layer(descriptor):
    layer = descriptor.build()
    inputs = descriptor.inputs()
    inputs[:, -1] = 0.0
    sequence = keras.Input(inputs.shape[1:])
    normalized = layer(keras.layers.Masking()(sequence))
    outputs, mask = keras.Model(sequence, [normalized, MaskAsOutput()(normalized)])(inputs)
    np.testing.assert_array_equal(outputs, layer(inputs))
    expected = np.ones(inputs.shape[:2])
    expected[:, -1] = 0.0
    np.testing.assert_array_equal(mask, expected)
