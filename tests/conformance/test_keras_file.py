"""A model saved as `.keras` and loaded again is the same model."""

import keras
import numpy as np

from conformance.descriptors import LAYERS, each


@each(LAYERS)
def test_save_and_load(descriptor, tmp_path):
    model = keras.Sequential([keras.Input(descriptor.input_shape[1:]), descriptor.build()])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = descriptor.inputs()
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    for weight, twin in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, twin)
