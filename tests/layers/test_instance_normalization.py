"""InstanceNormalization: group normalization with one group a channel."""

import numpy as np
import pytest

from keras_gn.layers import GroupNormalization, InstanceNormalization

IMAGES = np.random.default_rng(0).normal(1.0, 2.0, (2, 6, 5, 4)).astype("float32")


def test_equals_one_group_a_channel():
    expected = GroupNormalization(groups=4, epsilon=1e-5, activation="relu")(IMAGES)
    layer = InstanceNormalization(epsilon=1e-5, activation="relu")
    np.testing.assert_array_equal(layer(IMAGES), expected)


def test_has_no_groups_in_its_config():
    assert not {"groups", "channels_per_group"} & InstanceNormalization().get_config().keys()


def test_positional_arguments():
    config = InstanceNormalization(1, 1e-5, False, True).get_config()
    assert [config[key] for key in ("axis", "epsilon", "center", "scale")] == [1, 1e-5, False, True]


@pytest.mark.parametrize("name", ["groups", "channels_per_group"])
def test_groups_cannot_be_chosen(name):
    with pytest.raises(TypeError, match=f"takes no `{name}`.*Received: {name}=4"):
        InstanceNormalization(**{name: 4})


@pytest.mark.parametrize("shape", [(None, 8), (None, 1, 1, 8)])
def test_a_single_position_is_refused(shape):
    with pytest.raises(ValueError, match="Each group must have more than one element"):
        InstanceNormalization().build(shape)
