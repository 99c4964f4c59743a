"""Groups that are chosen by data."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_gn import conversion_report, convert_bn_to_gn
from keras_gn.convert.groups import sizes_that_train_well


def fitted_error(x, y, groups):
    """Of the least-squares line through each channel, in float64."""
    by_group = x.reshape(*x.shape[:3], groups, -1).astype("float64")
    axes = (1, 2, 4)
    z = (by_group - by_group.mean(axes, keepdims=True)) / np.sqrt(by_group.var(axes, keepdims=True) + 1e-3)
    z, y = z.reshape(-1, x.shape[-1]), np.asarray(y, "float64").reshape(-1, x.shape[-1])
    residuals = [np.polyfit(*pair, 1, full=True)[1][0] / len(z) for pair in zip(z.T, y.T, strict=True)]
    return np.sqrt(np.mean(residuals) / y.var(0).mean())


def test_the_groups_with_the_least_error_are_chosen():
    rng = np.random.default_rng(0)
    # Of 128 channels, each 16 have a contrast of their own in each sample, which larger groups even out; or one half
    # has a common one.
    contrast = rng.lognormal(0, 0.7, (40, 1, 1, 8)).repeat(16, axis=-1)
    few = np.where(np.arange(128) < 64, rng.lognormal(0, 1, (40, 1, 1, 1)), 1.0)
    x = {
        name: (rng.normal(size=(40, 6, 6, 128)) * scale).astype("float32")
        for name, scale in {"own": contrast, "few": few}.items()
    }
    inputs = {name: keras.Input((6, 6, 128), name=name) for name in x}
    model = keras.Model(inputs, [layers.BatchNormalization(name=f"norm_{name}")(i) for name, i in inputs.items()])
    for layer in model.layers[-2:]:
        layer.set_weights([rng.uniform(0.2, 3, weight.shape) for weight in layer.weights])
    outputs = dict(zip(x, model(x), strict=True))
    chosen = {
        row.path: row.groups
        for row in conversion_report(convert_bn_to_gn(model, calibration_data=x, calibration_steps=0))
    }
    for name in x:
        candidates = [128 // size for size in sizes_that_train_well(128)]
        errors = {groups: fitted_error(x[name], outputs[name], groups) for groups in candidates}
        assert chosen[f"norm_{name}"] == min(errors, key=errors.get)


@pytest.mark.parametrize("arguments", [{"groups": 4}, {"channels_per_group": 16}])
def test_groups_that_were_asked_for_stay(arguments):
    model = keras.Sequential([keras.Input((6, 6, 64)), layers.BatchNormalization()])
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 64)).astype("float32")
    (row,) = conversion_report(convert_bn_to_gn(model, calibration_data=x, calibration_steps=0, **arguments))
    assert row.groups == 4


class Refuses(layers.Layer):
    """Fails on real data."""

    def call(self, x):
        if x.shape[0] == 8:
            raise RuntimeError("no more")
        return x


def test_a_failing_model_is_left_as_it_was():
    model = keras.Sequential([keras.Input((6, 6, 64)), layers.BatchNormalization(name="norm"), Refuses()])
    x = np.zeros((8, 6, 6, 64), "float32")
    with pytest.raises(RuntimeError, match="no more"):
        convert_bn_to_gn(model, calibration_data=x, inplace=True)
    assert type(model.get_layer("norm")) is layers.BatchNormalization
    assert "call" not in vars(model.get_layer("norm"))
