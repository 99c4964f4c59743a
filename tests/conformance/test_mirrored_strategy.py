"""On two replicas, each with half of a batch, the results are those of one device."""

import keras
import numpy as np
import tensorflow as tf

from conformance.descriptors import LAYERS, each


def run_once(layer, inputs):
    with tf.GradientTape() as tape:
        outputs = layer(inputs)
        loss = tf.reduce_sum(outputs**2)
    return outputs, tape.gradient(loss, [v.value for v in layer.trainable_variables])


@each(LAYERS)
def test_replicas_equal_one_device(descriptor, two_replicas):
    inputs = descriptor.inputs(batch=4)
    layer = descriptor.build()
    outputs, gradients = run_once(layer, inputs)
    with two_replicas.scope():
        mirrored = descriptor.build()

    halves = two_replicas.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(inputs, 2)[context.replica_id_in_sync_group])
    )
    both = two_replicas.run(tf.function(lambda x: run_once(mirrored, x)), args=(halves,))
    each_outputs = two_replicas.experimental_local_results(both[0])
    np.testing.assert_allclose(np.concatenate(each_outputs), outputs, rtol=1e-5, atol=1e-5)
    for gradient, replicas in zip(gradients, both[1], strict=True):
        total = sum(two_replicas.experimental_local_results(replicas))
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(total / scale, gradient / scale, atol=1e-5)


def test_fit_equals_one_device(two_replicas):
    x = np.random.default_rng(3).normal(size=(16, 6, 6, 3)).astype("float32")
    y = np.arange(16) % 2

    def trained():
        keras.utils.set_random_seed(1)
        image = keras.Input((6, 6, 3))
        conv = next(d for d in LAYERS if d.name == "conv2d").layer(8, 3)
        norm = next(d for d in LAYERS if d.name == "gn_relu").layer(4, activation="relu")
        logits = keras.layers.Dense(2)(keras.layers.Flatten()(norm(conv(image))))
        model = keras.Model(image, logits)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
        history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
        return history, model.get_weights()

    history, weights = trained()
    with two_replicas.scope():
        mirrored_history, mirrored_weights = trained()
    np.testing.assert_allclose(mirrored_history, history, rtol=1e-4)
    for mirrored, weight in zip(mirrored_weights, weights, strict=True):
        np.testing.assert_allclose(mirrored, weight, rtol=1e-4, atol=1e-5)
