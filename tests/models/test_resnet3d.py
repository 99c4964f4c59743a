"""3D ResNets: parameter counts, what features see of a clip, blocks against NumPy, options, every norm."""

import math
from collections.abc import Iterator

import keras
import numpy as np
import pytest
from conformance import reference

import zoo
from keras_gn.layers import StandardizedConv3D
from zoo.errors import UserError
from zoo.models.norms import NORM_NAMES, parse_norm
from zoo.models.resnet import BlockConv, repeated, residual_block
from zoo.models.resnet3d import FACTORIZED, THREE, ResNet3DSpec, resnet3d_features, resnet3d_logits

COUNTS = {
    "i3d_resnet50": 28_043_472,  # PyTorchVideo's i3d_r50
    "slow_resnet50": 32_454_096,  # PyTorchVideo's slow_r50
    "r2plus1d_18": 31_505_325,  # torchvision's
}
# One block a stage, for tests.
TINY = ResNet3DSpec(repeated(THREE, 1, 1, 1, 1), strides=(1, 2, 2), stem_frames=3, halves_c2=True)


@pytest.fixture
def restored_settings() -> Iterator[None]:
    policy, data_format = keras.mixed_precision.dtype_policy(), keras.config.image_data_format()
    yield
    keras.mixed_precision.set_dtype_policy(policy)
    keras.config.set_image_data_format(data_format)


def trainable_count(name: str, norm: str) -> int:
    model = zoo.build(name, norm, num_classes=400)
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


@pytest.mark.parametrize("name", COUNTS)
def test_published_parameter_counts(name: str) -> None:
    assert trainable_count(name, "bn") == COUNTS[name]


@pytest.mark.parametrize(("name", "millions"), [("resnet3d18", 33.2), ("resnet3d34", 63.5)])
def test_published_parameter_counts_but_for_the_projections(name: str, millions: float) -> None:
    """Hara et al. pad shortcuts with zeros; here three are 1x1x1 convolutions with a norm."""
    projections = sum(c * 2 * c + 2 * 2 * c for c in (64, 128, 256))
    assert round((trainable_count(name, "gn") - projections) / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("name", "channels", "frames", "smaller"),
    [
        ("i3d_resnet50", 256, (16, 8, 8, 8), 4),
        ("slow_resnet50", 256, (16, 16, 16, 16), 4),
        ("resnet3d18", 64, (8, 4, 2, 1), 4),
        ("r2plus1d_18", 64, (16, 8, 4, 2), 2),
    ],
)
def test_frames_and_sizes_of_the_features(name: str, channels: int, frames: tuple, smaller: int) -> None:
    model = zoo.build(name, num_classes=None, input_shape=(16, 128, 96, 3))
    shapes = {
        f"c{n}": (None, frames[n - 2], 128 // (smaller * 2 ** (n - 2)), 96 // (smaller * 2 ** (n - 2)), c)
        for n, c in zip(range(2, 6), [channels * 2**k for k in range(4)], strict=True)
    }
    assert {feature: c.shape for feature, c in model.output.items()} == shapes


def test_clips_of_any_length_and_size() -> None:
    clip = keras.Input((None, None, None, 3))
    model = keras.Model(clip, resnet3d_features(clip, spec=TINY, norm=parse_norm("gn")))
    for frames, height, width in ((1, 65, 97), (5, 40, 33)):
        features = model(np.zeros((2, frames, height, width, 3), "float32"))
        assert {name: tuple(c.shape[1:4]) for name, c in features.items()} == {
            f"c{n}": (math.ceil(frames / min(n - 1, 2)), math.ceil(height / 2**n), math.ceil(width / 2**n))
            for n in range(2, 6)
        }


def kernels_over_time(name: str) -> dict[str, int]:
    model = zoo.build(name, num_classes=None)
    convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv3D)]
    return {layer.name: layer.kernel_size[0] for layer in convs if layer.kernel_size[0] > 1}


def test_where_kernels_see_several_frames() -> None:
    every_other = (
        "2_block1",
        "2_block2",
        "2_block3",
        "3_block1",
        "3_block3",
        "4_block1",
        "4_block3",
        "4_block5",
        "5_block2",
    )
    assert kernels_over_time("i3d_resnet50") == {"stem_conv": 5} | {f"stage{at}_conv1": 3 for at in every_other}
    last = [f"4_block{n}" for n in range(1, 7)] + [f"5_block{n}" for n in range(1, 4)]
    assert kernels_over_time("slow_resnet50") == {f"stage{at}_conv1": 3 for at in last}


def convolved(x: np.ndarray, kernel: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
    """Convolution of [B, T, H, W, C], padded with kernel // 2 zeros on every side."""
    width = [(0, 0), *[(side // 2, side // 2) for side in kernel.shape[:3]], (0, 0)]
    steps = tuple(slice(None, None, stride) for stride in strides)
    return reference.convolve(np.pad(x, width), kernel)[(slice(None), *steps)]


@pytest.mark.parametrize(
    ("convs", "strides", "carried"),
    [
        (FACTORIZED, 2, [(1, 2, 2), (2, 1, 1), (1, 1, 1), (1, 1, 1)]),
        (THREE, (1, 2, 2), [(1, 1, 1), (1, 2, 2), (1, 1, 1)]),
        ((BlockConv(3, strided=True), BlockConv(3)), 2, [(2, 2, 2), (1, 1, 1)]),
    ],
)
def test_residual_block(convs: tuple, strides: int | tuple, carried: list) -> None:
    x = np.random.default_rng(1).normal(size=(1, 3, 4, 5, 6))
    clip = keras.Input(x.shape[1:])
    block = residual_block(
        clip, convs=convs, width=4, strides=strides, norm=parse_norm("ln"), zero_gamma=True, name="b"
    )
    model, random = keras.Model(clip, block), np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(random.normal(size=variable.shape))
    w = {variable.path: np.array(variable, "float64") for variable in model.variables}

    def step(value: np.ndarray, part: str, index: str | int, steps: tuple) -> np.ndarray:
        value = convolved(value, w[f"b_{part}conv{index}/kernel"], steps)
        gamma, beta = w[f"b_{part}norm{index}/gamma"], w[f"b_{part}norm{index}/beta"]
        return reference.group_normalize(value, gamma, beta, groups=1, epsilon=1e-5)

    y = x
    for index, steps in enumerate(carried, start=1):
        y = step(y if index == 1 else np.maximum(y, 0), "", index, steps)
    whole = (2, 2, 2) if strides == 2 else strides
    expected = np.maximum(step(x, "shortcut_", "", whole) + y, 0)
    got = np.array(model(x.astype("float32")))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("norm", "filters"),
    [("bn", [45, 144, 230, 921]), ("gn:groups=16", [48, 144, 240, 928]), ("gn", [64, 160, 256, 928])],
)
def test_filters_between_factorized_convolutions_fit_the_groups(norm: str, filters: list[int]) -> None:
    model = zoo.build("r2plus1d_18", norm, num_classes=None)
    names = ["stem_conv", "stage2_block1_conv1", "stage3_block1_conv3", "stage5_block1_conv1"]
    assert [model.get_layer(name).filters for name in names] == filters


@pytest.mark.parametrize(
    ("input_shape", "stem", "large"),
    [((8, 64, 64, 3), "auto", True), ((80, 63, 90, 3), "auto", False), (None, "small", False)],
)
def test_stem_by_the_short_side_of_a_frame(input_shape: tuple | None, stem: str, large: bool) -> None:
    model = zoo.build("resnet3d18", input_shape=input_shape, stem=stem)
    conv = model.get_layer("stem_conv")
    assert (conv.kernel_size, conv.strides) == (((7, 7, 7), (1, 2, 2)) if large else ((7, 3, 3), (1, 1, 1)))
    assert ("stem_pool" in {layer.name for layer in model.layers}) == large


def tiny_model(norm: str) -> keras.Model:
    clip = keras.Input((4, 16, 16, 3), name="clip")
    features = resnet3d_features(clip, spec=TINY, norm=parse_norm(norm), stem="small")
    return keras.Model(clip, resnet3d_logits(features, 3))


@pytest.mark.parametrize("norm", [*NORM_NAMES, "gn+ws", "none+ws", "gn:channels_per_group=16", "gn:groups=-1"])
def test_every_norm_takes_a_training_step(norm: str) -> None:
    model = tiny_model(norm)
    convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv3D)]
    assert {isinstance(layer, StandardizedConv3D) for layer in convs} == {"+ws" in norm}
    before = {variable.path: np.array(variable) for variable in model.weights}
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    clips = np.random.default_rng(0).normal(size=(2, 4, 16, 16, 3)).astype("float32")
    assert np.isfinite(model.train_on_batch(clips, np.array([0, 1])))
    after = {variable.path: np.array(variable) for variable in model.weights}
    assert all(np.isfinite(array).all() for array in after.values())
    assert {"logits/kernel", "stem_conv/kernel"} <= {path for path in after if (after[path] != before[path]).any()}


@pytest.mark.parametrize(("norm", "sees"), [("gn", True), ("ln", True), ("in", True), ("frozen_bn", False)])
def test_statistics_are_over_time(norm: str, sees: bool) -> None:
    """Two kernels see a frame more on either side, so the first frame sees the last one through the norms alone."""
    clip = keras.Input((12, 16, 16, 3))
    features = resnet3d_features(clip, spec=TINY, norm=parse_norm(norm), stem="small", zero_init_residual=False)
    model = keras.Model(clip, features["c2"])
    clips = np.random.default_rng(0).normal(size=(1, 12, 16, 16, 3)).astype("float32")
    other = clips.copy()
    other[:, -1] += 3
    assert (np.abs(np.array(model(clips))[:, 0] - np.array(model(other))[:, 0]).max() > 1e-3) == sees


@pytest.mark.usefixtures("restored_settings")
def test_logits_are_float32_under_mixed_precision() -> None:
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    model = tiny_model("gn")
    logits = model(np.random.default_rng(0).normal(size=(1, 4, 16, 16, 3)).astype("float32"), training=True)
    assert model.get_layer("stage2_block1_conv1").compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert np.isfinite(logits).all()


@pytest.mark.usefixtures("restored_settings")
def test_channels_first() -> None:
    keras.config.set_image_data_format("channels_first")
    model = zoo.build("i3d_resnet50", num_classes=None, input_shape=(3, 8, 64, 96))
    assert model.output["c2"].shape == (None, 256, 8, 16, 24)
    assert model.output["c5"].shape == (None, 2048, 4, 2, 3)
    small = zoo.build("resnet3d18", input_shape=(3, 64, 32, 48))
    assert small.get_layer("stem_conv").strides == (1, 1, 1)


def test_dropout_by_its_share() -> None:
    shares = {
        layer.rate for layer in zoo.build("resnet3d18", num_classes=5).layers if isinstance(layer, keras.layers.Dropout)
    }
    assert shares == {0.5}
    without = zoo.build("resnet3d18", num_classes=5, dropout=0)
    assert "dropout" not in {layer.name for layer in without.layers}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dropout": 1.0}, r"`dropout` must be a number of at least 0 and below 1\. Received: dropout=1\.0"),
        ({"dropout": "half"}, r"`dropout` must be such as 0\.5\. Received: dropout='half'"),
        ({"remat": "yes"}, r"`remat` must be true or false\. Received: remat='yes'"),
        ({"stem": "tiny"}, r"`stem` must be one of auto, large, small"),
        (
            {"drop_out": 0.1},
            r"`option of resnet3d18` must be one of dropout, remat, stem, zero_init_residual.*dropout\?",
        ),
        ({"input_shape": (64, 64, 3)}, r"`input_shape` must be \(frames, height, width, channels\), .*\(64, 64, 3\)"),
        ({"input_shape": (0, 64, 64, 3)}, r"frames and height and width may be None\. Received: input_shape=\(0, "),
    ],
)
def test_errors_name_the_argument_and_the_way_out(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        zoo.build("resnet3d18", **arguments)
