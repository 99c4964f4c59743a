"""Models that older versions of Keras wrote to .h5 files, with the axis of BatchNormalization in a list, convert."""

import json
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
from keras.layers import BatchNormalization

from convert.conftest import all_layers, arrays, identical
from convert.models import KINDS, images
from convert.reachable import reachable
from keras_gn.convert import convert_bn_to_gn
from keras_gn.layers import GroupNormalization

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")


@pytest.fixture(params=["functional", "shared model"])
def model(request):
    return KINDS[request.param].make()


@pytest.fixture
def legacy_file(model, tmp_path):
    """The model as Keras 2 wrote it: `axis` is `[3]` for every BatchNormalization."""
    path = tmp_path / "model.h5"
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        assert in_lists(config) == len(reachable(model, BatchNormalization))
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.4.0"
    return path


def in_lists(config):
    """Puts the axis of every BatchNormalization in the config in a list, and counts them."""
    if isinstance(config, list):
        return sum(in_lists(part) for part in config)
    if not isinstance(config, dict):
        return 0
    count = sum(in_lists(part) for part in config.values())
    if config.get("class_name") == "BatchNormalization":
        config["config"]["axis"] = [3]
        count += 1
    return count


def test_converts_as_the_model_itself_does(model, legacy_file):
    loaded = keras.models.load_model(legacy_file, compile=False)
    converted, expected = convert_bn_to_gn(loaded), convert_bn_to_gn(model)
    assert reachable(converted, BatchNormalization) == []
    assert {layer.axis for layer in reachable(converted, GroupNormalization)} <= {3, -1}
    assert [layer.name for layer in all_layers(converted)] == [layer.name for layer in all_layers(model)]
    weights = [[(weight.name, np.asarray(weight)) for weight in one.weights] for one in (converted, expected)]
    assert identical(*weights)
    assert np.array_equal(arrays(converted(images()))[0], arrays(expected(images()))[0])


def test_a_list_that_keras_has_kept_converts(model):
    """A layer may get its axis from other code than a config."""
    for layer in reachable(model, BatchNormalization):
        layer.axis = [3]
    converted = convert_bn_to_gn(model, inplace=True)
    assert np.isfinite(arrays(converted(images()))[0]).all()


def test_by_the_command_line(model, legacy_file, tmp_path):
    output = tmp_path / "converted.keras"
    command = [sys.executable, "-m", "keras_gn.convert", str(legacy_file), "-o", str(output)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    converted = keras.models.load_model(output)
    assert reachable(converted, BatchNormalization) == []
    np.testing.assert_allclose(
        arrays(converted(images()))[0], arrays(convert_bn_to_gn(model)(images()))[0], rtol=1e-4, atol=1e-5
    )
