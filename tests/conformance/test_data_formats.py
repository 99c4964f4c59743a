"""Channels-first is channels-last, transposed."""

import numpy as np

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


@each(CONVOLUTIONS)
def test_channels_first_convolution(descriptor):
    layer = descriptor.build()
    inputs = descriptor.inputs()
    transposed = np.moveaxis(inputs, -1, 1)
    outputs = np.asarray(descriptor.build(transposed.shape, data_format="channels_first")(transposed))
    np.testing.assert_allclose(np.moveaxis(outputs, 1, -1), layer(inputs), rtol=1e-5, atol=1e-5)
