"""An exported SavedModel gives the model's outputs, at any batch size."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from conformance.descriptors import LAYERS, each


@each(LAYERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow")
def test_export_and_reload(descriptor, tmp_path):
    model = keras.Sequential([keras.Input(descriptor.input_shape[1:]), descriptor.build()])
    model.export(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    for batch in (1, 3):
        inputs = descriptor.inputs(batch)
        np.testing.assert_allclose(loaded.serve(inputs), model(inputs), rtol=1e-6, atol=1e-6)
