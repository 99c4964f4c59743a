"""Inflation: what a repeated frame becomes, what comes along, and what is refused."""

from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from keras_gn import convert_bn_to_gn
from zoo.errors import UserError
from zoo.models.inflate import inflate_kernel

IMAGE = {"num_classes": None, "input_shape": (32, 32, 3), "stem": "large"}
CLIP = {"num_classes": None, "input_shape": (None, 32, 32, 3), "stem": "large"}
IMAGES = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")


def randomized(model: keras.Model) -> keras.Model:
    """`model` with norms drawn anew near the neutral ones, so that activations stay sane."""
    random = np.random.default_rng(1)
    for variable in model.weights:
        if variable.name != "kernel":
            low, high = (0.5, 1.5) if variable.name in ("gamma", "moving_variance") else (-0.3, 0.3)
            variable.assign(random.uniform(low, high, variable.shape))
    return model


def repeated(frames: int) -> np.ndarray:
    return np.repeat(IMAGES[:, None], frames, axis=1)


def away(features: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference of any frame, of the image's largest value."""
    return float(np.abs(np.array(features) - np.array(expected)[:, None]).max() / np.abs(np.array(expected)).max())


def test_a_kernel_answers_to_a_still_image_as_before() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4))
    inflated = inflate_kernel(kernel, 5)
    assert inflated.shape == (5, 3, 3, 2, 4)
    np.testing.assert_allclose(inflated.sum(axis=0), kernel)
    assert np.ptp(inflated, axis=0).max() == 0


@pytest.mark.parametrize("norm", ["frozen_bn", "gn"])
def test_frames_are_those_of_the_image_where_kernels_see_one(norm: str) -> None:
    images = randomized(zoo.build("resnet50", norm, **IMAGE))
    clips = zoo.build("slow_resnet50", norm, weights=images, **CLIP)
    expected, features = images(IMAGES), clips(repeated(3))
    for name in ("c2", "c3"):
        assert features[name].shape[1] == 3
        assert away(features[name], expected[name]) < 1e-5
    # From stage 4 on a frame at the border sees the zeros beside it.
    assert away(features["c4"], expected["c4"]) > 1e-2


def test_inner_frames_are_those_of_the_image_with_fixed_statistics() -> None:
    images = randomized(zoo.build("resnet50", "frozen_bn", **IMAGE))
    clips = zoo.build("i3d_resnet50", "frozen_bn", weights=images, **CLIP)
    expected, features = images(IMAGES), clips(repeated(40))
    # How many frames of the features, at either end, have seen the padding: 2 of the stem and 1 of each kernel, halved
    # behind stage 2.
    seen = {"c2": 2 + 3, "c3": 3 + 2, "c4": 3 + 2 + 3, "c5": 3 + 2 + 3 + 1}
    for name, border in seen.items():
        assert away(features[name][:, border:-border], expected[name]) < 1e-5, name
    # In deeper stages the next frame sees so little of the padding that rounding hides it.
    assert away(features["c2"][:, seen["c2"] - 1 : -seen["c2"]], expected["c2"]) > 1e-3


def test_groups_and_epsilon_come_along_from_a_converted_model(tmp_path: Path) -> None:
    bn = randomized(zoo.build("resnet18", "bn", num_classes=3, input_shape=(64, 64, 3)))
    converted = convert_bn_to_gn(bn, channels_per_group=16)
    converted.save(tmp_path / "converted.keras")
    for weights in (converted, tmp_path / "converted.keras"):
        model = zoo.build("resnet3d18", "gn:epsilon=0.5", weights=weights, num_classes=7)
        for name, groups in (("stem_norm", 4), ("stage5_block2_norm2", 32)):
            ours, theirs = model.get_layer(name), converted.get_layer(name)
            assert (ours.groups, ours.epsilon) == (groups, theirs.epsilon)
            np.testing.assert_array_equal(ours.gamma, theirs.gamma)
        kernel = np.array(converted.get_layer("stem_conv").kernel)
        np.testing.assert_allclose(np.array(model.get_layer("stem_conv").kernel)[3], kernel / 7, rtol=1e-6)
        assert model.get_layer("logits").kernel.shape == (512, 7)


@pytest.mark.parametrize("norm", ["gn+ws", "ln+ws"])
def test_group_norms_take_out_how_loud_standardized_kernels_are(norm: str) -> None:
    images = randomized(zoo.build("resnet18", norm, **IMAGE))
    clips = zoo.build("resnet3d18", norm, weights=images, **CLIP)
    stem = keras.Model(clips.input, clips.get_layer("stem_norm").output)(repeated(9))
    expected = keras.Model(images.input, images.get_layer("stem_norm").output)(IMAGES)
    assert away(stem[:, 4:5], expected) < 0.3  # the statistics see the padding
    assert away(3 * np.array(stem)[:, 4:5], expected) > 1


def test_the_classes_stay_fresh_where_they_are_as_many() -> None:
    images = zoo.build("resnet18", num_classes=4, input_shape=(32, 32, 3), stem="large")
    images.get_layer("logits").bias.assign([1.0, 2.0, 3.0, 4.0])
    clips = zoo.build("resnet3d18", num_classes=4, weights=images)
    assert not np.array(clips.get_layer("logits").bias).any()


def test_a_model_for_videos_takes_its_own_weights(tmp_path: Path) -> None:
    model = randomized(zoo.build("resnet3d18", num_classes=4))
    model.save_weights(tmp_path / "model.weights.h5")
    for weights in (model, tmp_path / "model.weights.h5"):
        again = zoo.build("resnet3d18", num_classes=4, weights=weights)
        for old, new in zip(model.weights, again.weights, strict=True):
            np.testing.assert_array_equal(old, new, err_msg=old.path)


@pytest.mark.parametrize(
    ("image", "clip", "message"),
    [
        (
            ("resnet18", "gn", {"stem": "small"}),
            ("resnet3d18", "gn"),
            r"Received: weights=the model 'resnet18', which differs in 1 layers: 'stem_conv' has variables of shapes "
            r"\[\(7, 7, 7, 3, 64\)\] in the model, \[\(3, 3, 3, 64\)\] in the file",
        ),
        (("resnet34", "gn", {}), ("resnet3d18", "gn"), r"'stage2_block3_conv1' is in the file only; .*; and 27 more"),
        (
            ("resnet18", "bn", {}),
            ("resnet3d18", "gn"),
            r"'stem_norm' is a GroupNormalization in the model, a batchnorm",
        ),
        (
            ("resnet18", "bn", {}),
            ("r2plus1d_18", "bn"),
            r"'stem_conv' has variables of shapes \[\(1, 7, 7, 3, 45\)\] in the model, \[\(7, 7, 3, 64\)\]",
        ),
        (
            ("resnet18", "bn+ws", {}),
            ("resnet3d18", "bn+ws"),
            r"`norm` must be one of gn, ln and in.*'stem_conv' and 16",
        ),
        (("resnet18", "none+ws", {}), ("resnet3d18", "none+ws"), r"`norm` must be one of gn, ln and in, with \+ws"),
    ],
)
def test_what_does_not_fit_is_named(image: tuple, clip: tuple, message: str) -> None:
    name, norm, options = image
    weights = zoo.build(name, norm, **{**IMAGE, **options})
    with pytest.raises(UserError, match=message):
        zoo.build(*clip, weights=weights, num_classes=None)
