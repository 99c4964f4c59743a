"""A layer that becomes another one, seen by all who hold it."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_gn.convert.swap import Swap


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((3,)), layers.Dense(3, name="layer"), layers.Dense(2)])


@pytest.fixture
def swap(model):
    replacement = layers.Rescaling(2.0, name="layer")
    replacement.build((None, 3))
    return Swap(model.layers[0], replacement)


def test_all_holders_see_the_change_and_its_end(model, swap):
    layer, x = model.layers[0], np.ones((1, 3), "float32")
    holder = {"kept": layer}
    before, config = np.asarray(model(x)), model.get_config()
    swap.to_replacement()
    assert isinstance(holder["kept"], layers.Rescaling)
    np.testing.assert_allclose(model(x), model.layers[1](2 * x))
    assert len(model.weights) == 2
    swap.to_original()
    assert isinstance(holder["kept"], layers.Dense)
    np.testing.assert_array_equal(model(x), before)
    assert model.get_config() == config
    assert len(model.weights) == 4


def test_a_swapped_layer_builds_itself(model, swap):
    swap.to_replacement()
    layer = model.layers[0]
    layer.built = False
    layer.build((None, 3))
    assert layer.built


def test_models_save_and_clone_after_a_swap(model, swap, tmp_path):
    swap.to_replacement()
    model.save(tmp_path / "model.keras")
    x = np.ones((1, 3), "float32")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(x), model(x))
    assert isinstance(keras.models.clone_model(model).layers[0], layers.Rescaling)
