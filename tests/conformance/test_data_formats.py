"""Channels-first is channels-last, transposed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from conformance.descriptors import CONVOLUTIONS, NORMALIZATIONS, each


@each(NORMALIZATIONS)
def test_channel_axis_can_be_anywhere(descriptor):
    layer = descriptor.build()
    inputs = descriptor.inputs()
    for axis in range(1, inputs.ndim):
        transposed = np.moveaxis(inputs, descriptor.channel_axis, axis)
        outputs = np.asarray(descriptor.build(transposed.shape, axis=axis)(transposed))
        np.testing.assert_allclose(
            np.moveaxis(outputs, axis, descriptor.channel_axis), layer(inputs), rtol=1e-5, atol=1e-5
        )


def keras_convolves_images_channels_first():
    """TensorFlow does on a CPU whose kind makes it take oneDNN, or with TF_ENABLE_ONEDNN_OPTS=1."""
    try:
        keras.layers.Conv2D(1, 1, data_format="channels_first")(np.zeros((1, 1, 2, 2), "float32"))
    except tf.errors.UnimplementedError:
        return False
    return True


@each(CONVOLUTIONS)
def test_channels_first_convolution(descriptor):
    layer = descriptor.build()
    inputs = descriptor.inputs()
    if inputs.ndim == 4 and not keras_convolves_images_channels_first():
        pytest.skip("on this CPU TensorFlow convolves channels-first images with TF_ENABLE_ONEDNN_OPTS=1 only")
    transposed = np.moveaxis(inputs, -1, 1)
    outputs = np.asarray(descriptor.build(transposed.shape, data_format="channels_first")(transposed))
    np.testing.assert_allclose(np.moveaxis(outputs, 1, -1), layer(inputs), rtol=1e-5, atol=1e-5)
