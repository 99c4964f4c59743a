"""The tests that Keras has for its GroupNormalization, run on ours."""

import importlib.util
import sys
from types import ModuleType

import keras
import numpy as np
import pytest

from keras_gn.layers import GroupNormalization

NAME = "keras.src.layers.normalization.group_normalization_test"


class LayersWithOurs(ModuleType):
    """keras.layers, but for one layer; keras itself stays as it is."""

    GroupNormalization = GroupNormalization

    def __getattr__(self, name):
        return getattr(keras.layers, name)


def load_tests_of_keras():
    spec = importlib.util.find_spec(NAME)
    if spec is None:
        pytest.skip("the installed keras comes without its test files", allow_module_level=True)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop(NAME, None)
    module.layers = LayersWithOurs("layers")
    return module.GroupNormalizationTest


# Keras' own harness passes `shuffle` with a generator.
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
class TestKerasOwnTests(load_tests_of_keras()):
    def test_groups_not_a_multiple_of_dim_error(self):
        """Keras' own expects the rule stated backwards."""
        with pytest.raises(ValueError, match=r"channels \(4\) must be a multiple of the number of groups \(3\)"):
            GroupNormalization(groups=3)(np.ones((2, 2, 2, 4)))
