"""BiT: the published size, the pre-activation order, a head that starts at zero."""

import math

import numpy as np
import pytest

import zoo


@pytest.mark.parametrize(("name", "count"), [("resnetv2_50x1", 25_549_352), ("resnetv2_101x1", 44_541_480)])
def test_published_parameter_counts(name: str, count: int) -> None:
    model = zoo.build(name)
    assert sum(math.prod(variable.shape) for variable in model.trainable_variables) == count


def test_cn_is_2_to_the_n_times_smaller() -> None:
    model = zoo.build("resnetv2_50x1", num_classes=None, input_shape=(128, 96, 3))
    channels = (256, 512, 1024, 2048)
    expected = {f"c{n}": (None, 128 // 2**n, 96 // 2**n, c) for n, c in enumerate(channels, start=2)}
    assert {name: c.shape for name, c in model.output.items()} == expected


def test_the_head_starts_at_zero_and_c5_is_normalized() -> None:
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    model = zoo.build("resnetv2_50x1", num_classes=5, input_shape=(16, 16, 3))
    np.testing.assert_array_equal(model(images), np.zeros((2, 5)))
    features = zoo.build("resnetv2_50x1", num_classes=None, input_shape=(16, 16, 3))(images)
    assert np.array(features["c5"]).min() == 0
    assert np.array(features["c4"]).min() < 0


def test_the_stem_has_no_norm_and_there_is_no_shortcut_norm() -> None:
    names = {layer.name for layer in zoo.build("resnetv2_50x1", input_shape=(64, 64, 3)).layers}
    assert {"stem_conv", "stem_pool", "stage2_block1_norm1", "stage2_block1_shortcut_conv", "final_norm"} <= names
    assert not {"stem_norm", "stage2_block1_shortcut_norm", "stage2_block2_shortcut_conv"} & names
