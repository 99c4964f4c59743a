"""ResNet: parameter counts, feature sizes, the start of training."""

import math

import keras
import numpy as np
import pytest

import zoo

COUNTS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}


def trainable_count(model: keras.Model) -> int:
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


@pytest.mark.parametrize(("name", "norm"), [*((name, "gn") for name in COUNTS), ("resnet18", "bn"), ("resnet50", "bn")])
def test_published_parameter_counts(name: str, norm: str) -> None:
    assert trainable_count(zoo.build(name, norm)) == COUNTS[name]


@pytest.mark.parametrize(
    ("name", "channels"), [("resnet18", (64, 128, 256, 512)), ("resnet50", (256, 512, 1024, 2048))]
)
def test_cn_is_2_to_the_n_times_smaller(name: str, channels: tuple[int, ...]) -> None:
    model = zoo.build(name, num_classes=None, input_shape=(128, 96, 3))
    expected = {f"c{n}": (None, 128 // 2**n, 96 // 2**n, c) for n, c in enumerate(channels, start=2)}
    assert {name: c.shape for name, c in model.output.items()} == expected


def test_odd_sizes_are_rounded_up_and_unknown_ones_are_taken() -> None:
    model = zoo.build("resnet18", num_classes=None, input_shape=(None, None, 3), stem="large")
    features = model(np.zeros((1, 65, 97, 3), "float32"))
    assert {name: tuple(c.shape[1:3]) for name, c in features.items()} == {
        f"c{n}": (math.ceil(65 / 2**n), math.ceil(97 / 2**n)) for n in range(2, 6)
    }


@pytest.mark.parametrize(
    ("input_shape", "stem", "large"),
    [
        ((63, 200, 3), "auto", False),
        ((64, 64, 3), "auto", True),
        ((None, None, 3), "auto", True),
        ((224, 224, 3), "small", False),
        ((8, 8, 3), "large", True),
    ],
)
def test_stem_by_size_or_by_name(input_shape: tuple, stem: str, large: bool) -> None:
    model = zoo.build("resnet18", input_shape=input_shape, stem=stem)
    conv = model.get_layer("stem_conv")
    assert (conv.kernel_size, conv.strides) == (((7, 7), (2, 2)) if large else ((3, 3), (1, 1)))
    assert ("stem_pool" in {layer.name for layer in model.layers}) == large


def test_small_stem_keeps_small_images_large() -> None:
    model = zoo.build("resnet50", "bn", num_classes=None, input_shape=(8, 8, 1))
    assert [c.shape[1] for c in model.output.values()] == [8, 4, 2, 1]


def test_the_stride_sits_on_the_3x3_convolution() -> None:
    model = zoo.build("resnet50", input_shape=(64, 64, 3))
    strides = [model.get_layer(f"stage3_block1_conv{n}").strides[0] for n in (1, 2, 3)]
    assert strides == [1, 2, 1]


@pytest.mark.parametrize("norm", ["gn", "bn"])
def test_blocks_start_as_the_identity(norm: str) -> None:
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    changes = {}
    for zero_init in (True, False):
        model = zoo.build("resnet18", norm, input_shape=(16, 16, 3), zero_init_residual=zero_init)
        names = ["stem_relu", "stage2_block1_out", "stage2_block2_out", "stage5_block1_out", "stage5_block2_out"]
        parts = keras.Model(model.input, [model.get_layer(name).output for name in names])
        stem, first, second, fifth, last = (np.array(part) for part in parts(images))
        changes[zero_init] = [np.abs(first - stem).max(), np.abs(second - stem).max(), np.abs(last - fifth).max()]
    assert changes[True] == [0, 0, 0]
    assert min(changes[False]) > 0.1


def test_weights_start_as_the_papers() -> None:
    model = zoo.build("resnet50", input_shape=(32, 32, 3))
    kernel = np.array(model.get_layer("stage4_block2_conv1").kernel)  # 1x1, 1024 to 256 channels
    assert kernel.std() == pytest.approx(math.sqrt(2 / 256), rel=0.01)
    other = np.array(model.get_layer("stage4_block3_conv1").kernel)
    assert np.abs(kernel - other).max() > 0.01
    logits = model.get_layer("logits")
    assert np.array(logits.kernel).std() == pytest.approx(0.01, rel=0.01)
    assert not np.array(logits.bias).any()
