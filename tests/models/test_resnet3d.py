"""3D ResNets: parameter counts, what features see of a clip, blocks against NumPy, options, every norm."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace

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

# One block a stage, for tests.
TINY = ResNet3DSpec(repeated(THREE, 1, 1, 1, 1), strides=(1, 2, 2), stem_frames=3, halves_c2=True)


@pytest.fixture
def restored_settings() -> Iterator[None]:
    policy, data_format = keras.mixed_precision.dtype_policy(), keras.config.image_data_format()
    yield
    keras.mixed_precision.set_dtype_policy(policy)
    keras.config.set_image_data_format(data_format)


# Hara et al. pad shortcuts with zeros where three of ours are 1x1x1 convolutions with a norm.
PROJECTIONS = sum(c * 2 * c + 2 * 2 * c for c in (64, 128, 256))

# The blocks whose first convolution sees three frames.
SEES_SEVERAL = {
    "i3d_resnet50": "2_block1 2_block2 2_block3 3_block1 3_block3 4_block1 4_block3 4_block5 5_block2",
    "slow_resnet50": " ".join([f"4_block{n}" for n in range(1, 7)] + [f"5_block{n}" for n in range(1, 4)]),
}


@pytest.mark.parametrize(
    ("name", "count", "channels", "frames", "smaller"),
    [
        ("i3d_resnet50", 28_043_472, 256, (16, 8, 8, 8), 4),  # PyTorchVideo's i3d_r50
        ("slow_resnet50", 32_454_096, 256, (16, 16, 16, 16), 4),  # PyTorchVideo's slow_r50
        ("r2plus1d_18", 31_505_325, 64, (16, 8, 4, 2), 2),  # torchvision's
        ("resnet3d18", 33_235_280 + PROJECTIONS, 64, (8, 4, 2, 1), 4),  # 33.2 million
        ("resnet3d34", 63_544_912 + PROJECTIONS, 64, (8, 4, 2, 1), 4),  # 63.5 million
    ],
)
def test_published_form(name: str, count: int, channels: int, frames: tuple, smaller: int) -> None:
    model = zoo.build(name, "bn", num_classes=400, input_shape=(16, 128, 96, 3))
    assert sum(math.prod(variable.shape) for variable in model.trainable_variables) == count
    for stage in range(2, 6):
        last = [layer for layer in model.layers if re.fullmatch(rf"stage{stage}_block\d_out", layer.name)][-1]
        height, width = (side // (smaller * 2 ** (stage - 2)) for side in (128, 96))
        assert last.output.shape == (None, frames[stage - 2], height, width, channels * 2 ** (stage - 2))
    convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv3D)]
    if name in SEES_SEVERAL:
        found = {layer.name: layer.kernel_size for layer in convs if layer.kernel_size[0] > 1}
        assert found.pop("stem_conv", None) == ((5, 7, 7) if name == "i3d_resnet50" else None)
        assert found == {f"stage{at}_conv1": (3, 1, 1) for at in SEES_SEVERAL[name].split()}


def test_clips_of_any_length_and_size() -> None:
    clip = keras.Input((None, None, None, 3))
    model = keras.Model(clip, resnet3d_features(clip, spec=TINY, norm=parse_norm("gn")))
    for frames, height, width in ((1, 65, 97), (5, 40, 33)):
        features = model(np.zeros((2, frames, height, width, 3), "float32"))
        assert {name: tuple(c.shape[1:4]) for name, c in features.items()} == {
            f"c{n}": (math.ceil(frames / min(n - 1, 2)), math.ceil(height / 2**n), math.ceil(width / 2**n))
            for n in range(2, 6)
        }


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
    ("norm", "filters"), [("bn", [48, 144]), ("gn", [64, 160]), ("gn:groups=16", [48, 144]), ("in", [45, 144])]
)
def test_filters_between_factorized_convolutions_fit_the_groups(norm: str, filters: list[int]) -> None:
    spec = replace(TINY, stages=repeated(FACTORIZED, 1, 0, 0, 0), stem_filters=45 if norm != "bn" else 48)
    clip = keras.Input((4, 16, 16, 3))
    model = keras.Model(clip, resnet3d_features(clip, spec=spec, norm=parse_norm(norm), stem="small")["c2"])
    assert [model.get_layer(name).filters for name in ("stem_conv", "stage2_block1_conv1")] == filters


@pytest.mark.parametrize(
    ("shape", "stem", "large"),
    [((8, 64, 64, 3), "auto", True), ((80, 63, 90, 3), "auto", False), ((None, None, None, 3), "small", False)],
)
def test_stem_by_the_short_side_of_a_frame(shape: tuple, stem: str, large: bool) -> None:
    clip = keras.Input(shape)
    model = keras.Model(clip, resnet3d_features(clip, spec=TINY, norm=parse_norm("gn"), stem=stem))
    conv = model.get_layer("stem_conv")
    assert (conv.kernel_size, conv.strides) == (((3, 7, 7), (1, 2, 2)) if large else ((3, 3, 3), (1, 1, 1)))
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
    clip = keras.Input((3, 8, 64, 96))
    features = resnet3d_features(clip, spec=TINY, norm=parse_norm("gn"))
    assert features["c2"].shape == (None, 256, 8, 16, 24)
    assert features["c5"].shape == (None, 2048, 4, 2, 3)
    small = keras.Input((3, 64, 32, 48))
    assert resnet3d_features(small, spec=TINY, norm=parse_norm("bn"))["c2"].shape == (None, 256, 64, 32, 48)


@pytest.mark.parametrize(
    ("options", "layers"), [({}, ["pool", "dropout", "logits"]), ({"dropout": 0}, ["pool", "logits"])]
)
def test_dropout_by_its_share(options: dict, layers: list[str]) -> None:
    c5 = keras.Input((1, 2, 2, 8))
    model = keras.Model(c5, resnet3d_logits({"c5": c5}, 5, **options))
    assert [layer.name for layer in model.layers[1:]] == layers
    assert all(layer.rate == 0.5 for layer in model.layers if isinstance(layer, keras.layers.Dropout))


@pytest.mark.parametrize("dropout", [1.0, -0.1])
def test_dropout_out_of_its_range(dropout: float) -> None:
    message = rf"`dropout` must be a number of at least 0 and below 1\. Received: dropout={dropout}"
    with pytest.raises(UserError, match=message):
        resnet3d_logits({"c5": keras.Input((1, 2, 2, 8))}, 5, dropout=dropout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
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
