"""Compiled by XLA, outputs and gradients are those of the plain layer."""

import numpy as np
import tensorflow as tf

from conformance.descriptors import LAYERS, each


@each(LAYERS)
def test_jit_compile_equals_plain(descriptor):
    layer = descriptor.build()
    inputs = tf.constant(descriptor.inputs())

    def step(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            loss = tf.reduce_sum(outputs**3)
        return outputs, tape.gradient(loss, [inputs, *[v.value for v in layer.trainable_variables]])

    outputs, gradients = step(inputs)
    jit_outputs, jit_gradients = tf.function(step, jit_compile=True)(inputs)
    np.testing.assert_allclose(jit_outputs, outputs, rtol=1e-5, atol=1e-5)
    for gradient, jit_gradient in zip(gradients, jit_gradients, strict=True):
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(jit_gradient / scale, gradient / scale, atol=1e-4)
