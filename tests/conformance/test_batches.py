"""No sample depends on another one, and no samples give no samples."""

import numpy as np
import pytest
import tensorflow as tf

from conformance.descriptors import CONVOLUTIONS, NORMALIZATIONS, each


def together_and_alone(descriptor):
    layer = descriptor.build()
    inputs = descriptor.inputs(batch=5)
    inputs[3] *= 1000.0
    alone = np.concatenate([layer(inputs[i : i + 1]) for i in range(len(inputs))])
    return np.asarray(layer(inputs)), alone


@pytest.mark.usefixtures("each_kernel")
@each(NORMALIZATIONS)
def test_a_sample_alone_equals_the_sample_in_a_batch(descriptor):
    together, alone = together_and_alone(descriptor)
    np.testing.assert_allclose(alone, together, rtol=1e-6, atol=1e-6)


@each(CONVOLUTIONS)
def test_a_sample_alone_is_convolved_as_in_a_batch(descriptor):
    """Up to the order of the sums, which TensorFlow chooses by the batch size on some CPUs."""
    together, alone = together_and_alone(descriptor)
    for expected, outputs in zip(together, alone, strict=True):
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


# Not the convolutions: TensorFlow's (seen in 2.21) return no samples of the input's shape.
@pytest.mark.usefixtures("each_kernel")
@each(NORMALIZATIONS)
def test_empty_batch(descriptor):
    layer = descriptor.build()
    inputs = tf.constant(descriptor.inputs(batch=0))
    with tf.GradientTape() as tape:
        outputs = layer(inputs)
        loss = tf.reduce_sum(outputs)
    assert outputs.shape == layer.compute_output_shape(inputs.shape)
    for gradient in tape.gradient(loss, [v.value for v in layer.trainable_variables]):
        np.testing.assert_array_equal(gradient, np.zeros_like(gradient))
