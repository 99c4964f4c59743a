"""Unknown batch and spatial sizes, in a functional model and in a traced function."""

import keras
import numpy as np
import tensorflow as tf

from conformance.descriptors import LAYERS, each


@each(LAYERS)
def test_unknown_batch_and_spatial_sizes(descriptor):
    layer = descriptor.build()
    shape = [None if index in descriptor.dynamic_axes else n for index, n in enumerate(descriptor.input_shape)]
    image = keras.Input(shape[1:])
    features = descriptor.layer(**descriptor.settings)(image)
    assert features.shape == layer.compute_output_shape((None, *shape[1:]))
    model = keras.Model(image, features)
    model.set_weights(layer.get_weights())
    traced = tf.function(layer, input_signature=[tf.TensorSpec([None, *shape[1:]])])
    for batch in (1, 3):
        inputs = descriptor.inputs(batch)
        larger = np.concatenate([inputs, inputs], axis=1) if 1 in descriptor.dynamic_axes else inputs
        for x in (inputs, larger):
            np.testing.assert_allclose(traced(x), layer(x), rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(model(x), layer(x), rtol=1e-6, atol=1e-6)
