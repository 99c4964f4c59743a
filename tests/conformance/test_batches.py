"""No sample depends on another one, and no samples give no samples."""

import numpy as np
import pytest
import tensorflow as tf

from conformance.descriptors import LAYERS, NORMALIZATIONS, each


@pytest.mark.usefixtures("each_kernel")
@each(LAYERS)
def test_a_sample_alone_equals_the_sample_in_a_batch(descriptor):
    layer = descriptor.build()
    inputs = descriptor.inputs(batch=5)
    inputs[3] *= 1000.0
    together = np.asarray(layer(inputs))
    alone = np.concatenate([layer(inputs[i : i + 1]) for i in range(len(inputs))])
    np.testing.assert_allclose(alone, together, rtol=1e-6, atol=1e-6)


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
