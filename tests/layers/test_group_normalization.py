"""GroupNormalization as a drop-in for Keras' layer, its own arguments, and bad input."""

import json

import keras
import numpy as np
import pytest

from keras_gn.layers import GroupNormalization

IMAGES = np.random.default_rng(0).normal(1.0, 2.0, (2, 6, 5, 8)).astype("float32")


@pytest.mark.parametrize(
    "settings", [{}, {"groups": 4}, {"groups": 2, "axis": 1}, {"groups": -1}, {"scale": False}, {"center": False}]
)
def test_replaces_the_layer_of_keras(settings):
    settings = {"groups": 8, **settings}
    theirs = keras.layers.GroupNormalization(**settings)
    expected = theirs(IMAGES)
    ours = GroupNormalization(**settings)
    np.testing.assert_allclose(ours(IMAGES), expected, atol=1e-5)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert ours.get_config().keys() - theirs.get_config().keys() == {"channels_per_group", "activation"}
    assert theirs.get_config().keys() <= ours.get_config().keys()


def test_defaults_are_those_of_keras():
    theirs = keras.layers.GroupNormalization(name="norm").get_config()
    ours = GroupNormalization(name="norm").get_config()
    assert {key: ours[key] for key in theirs} == theirs


def test_positional_arguments_are_those_of_keras_up_to_scale():
    layer = GroupNormalization(4, 1, 1e-5, False, True)
    settings = {key: layer.get_config()[key] for key in ("groups", "axis", "epsilon", "center", "scale")}
    assert settings == {"groups": 4, "axis": 1, "epsilon": 1e-5, "center": False, "scale": True}


def test_loads_the_config_of_keras():
    theirs = keras.layers.GroupNormalization(
        groups=4,
        gamma_initializer=keras.initializers.RandomUniform(seed=3),
        beta_regularizer=keras.regularizers.L2(0.1),
        gamma_constraint=keras.constraints.NonNeg(),
        dtype="mixed_bfloat16",
        name="norm",
    )
    config = json.loads(json.dumps(theirs.get_config()))
    ours = GroupNormalization.from_config(config)
    assert {key: ours.get_config()[key] for key in config} == config


def test_loads_weights_saved_with_the_layer_of_keras(tmp_path):
    theirs = keras.Sequential([keras.Input(IMAGES.shape[1:]), keras.layers.GroupNormalization(4)])
    theirs.set_weights([np.linspace(1, 2, 8), np.linspace(-1, 1, 8)])
    theirs.save_weights(tmp_path / "model.weights.h5")
    ours = keras.Sequential([keras.Input(IMAGES.shape[1:]), GroupNormalization(4)])
    ours.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(ours(IMAGES), theirs(IMAGES), atol=1e-5)


def test_minus_one_stays_in_the_config():
    layer = GroupNormalization(groups=-1)
    layer(IMAGES)
    assert layer.groups == -1
    assert layer.get_config()["groups"] == -1
    wider = GroupNormalization.from_config(layer.get_config())
    assert wider(np.ones((2, 4, 4, 32), "float32")).shape == (2, 4, 4, 32)


def test_channels_per_group_leaves_groups_unused():
    by_size = GroupNormalization(groups=7, channels_per_group=2)(IMAGES)
    np.testing.assert_array_equal(by_size, GroupNormalization(groups=4)(IMAGES))


@pytest.mark.parametrize("axis", [[-1], (3,), (np.int64(-1),), np.int32(3)])
def test_axis_may_be_a_list_of_one(axis):
    layer = GroupNormalization(4, axis=axis)
    np.testing.assert_array_equal(layer(IMAGES), GroupNormalization(4)(IMAGES))
    twin = GroupNormalization.from_config(json.loads(json.dumps(layer.get_config())))
    assert twin.get_config() == layer.get_config()


def test_numpy_arguments_become_json():
    layer = GroupNormalization(np.int64(4), epsilon=np.float32(0.5), channels_per_group=np.int32(2))
    config = json.loads(json.dumps(layer.get_config()))
    assert (config["groups"], config["epsilon"], config["channels_per_group"]) == (4, 0.5, 2)


@pytest.mark.parametrize("activation", ["relu", "gelu", keras.activations.tanh, "softmax", None])
def test_fused_activation_equals_the_activation_after(activation):
    fused = GroupNormalization(4, activation=activation)(IMAGES)
    plain = GroupNormalization(4)(IMAGES)
    np.testing.assert_allclose(fused, keras.activations.get(activation)(plain), rtol=1e-6, atol=1e-6)


def test_custom_activation_survives_the_config():
    @keras.saving.register_keras_serializable(package="test")
    def halved(x):
        return x / 2

    layer = GroupNormalization(4, activation=halved)
    twin = GroupNormalization.from_config(json.loads(json.dumps(layer.get_config())))
    np.testing.assert_allclose(twin(IMAGES), GroupNormalization(4)(IMAGES) / 2)


def test_mixed_float16_takes_inputs_beyond_its_range():
    x = IMAGES * 1e5
    y = GroupNormalization(4, dtype="mixed_float16")(x)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    np.testing.assert_allclose(y, GroupNormalization(4)(x), atol=2e-3)


def test_float32_layer_keeps_float32_digits_of_float16_inputs():
    x = IMAGES.astype("float16")
    y = GroupNormalization(4, dtype="float32")(x)
    np.testing.assert_allclose(y, GroupNormalization(4)(x.astype("float32")), rtol=1e-6, atol=1e-6)


def test_regularizers_and_constraints_are_applied():
    layer = GroupNormalization(
        4, gamma_regularizer="l2", beta_regularizer="l1", gamma_constraint="non_neg", beta_constraint="unit_norm"
    )
    layer(IMAGES)
    np.testing.assert_allclose(layer.losses, [8 * 0.01, 0.0], rtol=1e-6)
    assert type(layer.gamma.constraint) is keras.constraints.NonNeg
    assert type(layer.beta.constraint) is keras.constraints.UnitNorm


def test_the_same_layer_on_another_map_size():
    layer = GroupNormalization(4)
    layer(IMAGES)
    assert layer(IMAGES[:, :2, :3]).shape == (2, 2, 3, 8)
    with pytest.raises(ValueError, match="expected axis 3"):
        layer(IMAGES[..., :4])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": 0}, r"`groups` must be a positive integer, or -1.*Received: groups=0"),
        ({"groups": True}, "Received: groups=True"),
        ({"groups": 2.0}, "Received: groups=2.0"),
        ({"channels_per_group": 0}, r"`channels_per_group` must be.*Received: channels_per_group=0"),
        ({"channels_per_group": -1}, "Received: channels_per_group=-1"),
        ({"channels_per_group": "16"}, "Received: channels_per_group='16'"),
        ({"axis": [1, 2]}, r"`axis` must be one integer.*Received: axis=\[1, 2\]"),
        ({"axis": ()}, r"Received: axis=\(\)"),
        ({"axis": "channels"}, "Received: axis='channels'"),
        ({"epsilon": -1e-3}, "`epsilon` must be a finite number.*Received: epsilon=-0.001"),
        ({"epsilon": float("nan")}, "Received: epsilon=nan"),
        ({"epsilon": "small"}, "Received: epsilon='small'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        GroupNormalization(**arguments)


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"groups": 32}, (None, 8, 8, 48), r"channels \(48\) must be a multiple of the number of groups \(32\)"),
        ({"groups": 32}, (None, 8, 8, 16), r"groups \(32\) cannot be more than the number of channels \(16\)"),
        ({"channels_per_group": 3}, (None, 8), "must be a multiple of the number of channels per group"),
        ({"channels_per_group": 16}, (None, 8), "Use one of 1, 2, 4, 8. Received: channels_per_group=16"),
        ({"axis": 0}, (4, 8, 8, 32), "axis 0 is the batch axis"),
        ({"axis": 4}, (4, 8, 8, 32), "`axis` is out of bounds"),
        ({"groups": 4}, (None, 8, None), "Axis -1 of input tensor should have a defined dimension"),
        ({"groups": -1}, (None, 32), "Each group must have more than one element"),
        ({"groups": 32}, (None, 1, 1, 32), "Use fewer groups"),
        ({"channels_per_group": 1}, (None, 32), "at least 2 channels per group"),
    ],
)
def test_shapes_that_cannot_be_normalized(arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        GroupNormalization(**arguments).build(shape)


def test_one_element_a_group_is_refused_as_soon_as_the_size_is_known():
    layer = GroupNormalization(groups=-1)
    layer.build((None, None, None, 8))
    layer(IMAGES)
    with pytest.raises(ValueError, match="Each group must have more than one element"):
        layer(IMAGES[:, :1, :1])
