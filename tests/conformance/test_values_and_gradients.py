"""Values and gradients equal those of the float64 NumPy reference."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from conformance.descriptors import LAYERS, each

STEP = 1e-6
DIRECTIONS = 4


@pytest.mark.usefixtures("each_kernel")
@each(LAYERS)
def test_values(descriptor):
    layer = descriptor.build()
    inputs = descriptor.inputs()
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    expected = descriptor.expected(inputs, layer.get_weights())
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(inputs.shape) == expected.shape


@pytest.mark.usefixtures("each_kernel")
@each(LAYERS)
def test_gradients(descriptor):
    """Along random directions of inputs and weights, the slope of a random projection of the outputs."""
    layer = descriptor.build(dtype="float64")
    points = [descriptor.inputs().astype("float64"), *layer.get_weights()]
    generator = np.random.default_rng(2)
    inputs = tf.constant(points[0])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        projection = generator.normal(size=outputs.shape)
        loss = tf.reduce_sum(outputs * projection)
    gradients = tape.gradient(loss, [inputs, *[v.value for v in layer.trainable_variables]])

    def value(arrays):
        return np.sum(descriptor.expected(arrays[0], arrays[1:]) * projection)

    # One array at a time: a wrong gradient of beta must not hide behind a large one of the inputs.
    for index, gradient in enumerate(gradients):
        for _ in range(DIRECTIONS):
            move = [np.zeros_like(point) for point in points]
            move[index] = generator.normal(size=points[index].shape)
            ahead = value([p + STEP * m for p, m in zip(points, move, strict=True)])
            behind = value([p - STEP * m for p, m in zip(points, move, strict=True)])
            slope = np.sum(gradient.numpy() * move[index])
            np.testing.assert_allclose(slope, (ahead - behind) / (2 * STEP), rtol=1e-5, atol=1e-6)
