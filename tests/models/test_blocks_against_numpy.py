"""Residual blocks and stems against slow NumPy in float64: order, strides and padding are the papers'."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.models.blocks import stem_conv, stem_pool
from zoo.models.norms import parse_norm
from zoo.models.resnet import BASIC, BOTTLENECK, residual_block
from zoo.models.resnet_v2 import preactivation_unit

Array = NDArray[np.float64]
Weights = dict[str, Array]


def convolved(x: Array, kernel: Array, *, strides: int = 1) -> Array:
    """Convolution of [B, H, W, C], padded with kernel // 2 zeros on every side."""
    side = kernel.shape[0]
    padded = np.pad(x, [(0, 0), (side // 2,) * 2, (side // 2,) * 2, (0, 0)])
    height, width = (-(-size // strides) for size in x.shape[1:3])
    y = np.zeros((len(x), height, width, kernel.shape[3]))
    for i in range(height):
        for j in range(width):
            patch = padded[:, i * strides : i * strides + side, j * strides : j * strides + side]
            y[:, i, j] = np.tensordot(patch, kernel, axes=3)
    return y


def normalized(x: Array, gamma: Array, beta: Array, *, groups: int = 4) -> Array:
    y = np.empty_like(x)
    size = x.shape[-1] // groups
    for sample in range(len(x)):
        for start in range(0, x.shape[-1], size):
            part = x[sample, :, :, start : start + size]
            y[sample, :, :, start : start + size] = (part - part.mean()) / np.sqrt(part.var() + 1e-5)
    return y * gamma + beta


def standardized(kernel: Array) -> Array:
    return (kernel - kernel.mean((0, 1, 2))) / np.sqrt(kernel.var((0, 1, 2)) + 1e-10)


def pooled(x: Array) -> Array:
    """3x3 max pool with stride 2, a frame of zeros around."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    rows, columns = (range(0, size, 2) for size in x.shape[1:3])
    return np.stack([np.stack([padded[:, i : i + 3, j : j + 3].max((1, 2)) for j in columns], 1) for i in rows], 1)


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def randomized(model: keras.Model) -> dict[str, Array]:
    """Gives every variable of `model` random values; returns them by path."""
    random = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(random.normal(size=variable.shape))
    return {variable.path: np.array(variable, "float64") for variable in model.variables}


def compared(model: keras.Model, expected: Array, x: Array) -> None:
    got = np.array(model(x.astype("float32")))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("channels", [8, 32])
@pytest.mark.parametrize(("convs", "count"), [(BASIC, 2), (BOTTLENECK, 3)])
def test_residual_block(convs: tuple, count: int, channels: int, strides: int) -> None:
    x = np.random.default_rng(1).normal(size=(2, 6, 7, channels))
    image = keras.Input((6, 7, channels))
    norm = parse_norm("gn:groups=4")
    y = residual_block(image, convs=convs, width=8, strides=strides, norm=norm, zero_gamma=True, name="b")
    model = keras.Model(image, y)
    w = randomized(model)

    def step(value: Array, part: str, index: str | int, stride: int) -> Array:
        value = convolved(value, w[f"b_{part}conv{index}/kernel"], strides=stride)
        return normalized(value, w[f"b_{part}norm{index}/gamma"], w[f"b_{part}norm{index}/beta"])

    kept = channels == (8 if count == 2 else 32) and strides == 1
    shortcut = x if kept else step(x, "shortcut_", "", strides)
    y1 = relu(step(x, "", 1, strides if count == 2 else 1))
    residual = step(y1, "", 2, 1) if count == 2 else step(relu(step(y1, "", 2, strides)), "", 3, 1)
    assert ("b_shortcut_conv/kernel" in w) == (not kept)
    compared(model, relu(shortcut + residual), x)


@pytest.mark.parametrize(("strides", "channels"), [(1, 32), (1, 8), (2, 32)])
def test_preactivation_unit(strides: int, channels: int) -> None:
    x = np.random.default_rng(1).normal(size=(2, 6, 7, channels))
    image = keras.Input((6, 7, channels))
    y = preactivation_unit(image, width=8, strides=strides, norm=parse_norm("gn+ws:groups=4"), name="u")
    model = keras.Model(image, y)
    w = randomized(model)

    def activated(value: Array, index: int) -> Array:
        return relu(normalized(value, w[f"u_norm{index}/gamma"], w[f"u_norm{index}/beta"]))

    def conv(value: Array, name: str, stride: int = 1) -> Array:
        return convolved(value, standardized(w[f"u_{name}/kernel"]), strides=stride)

    first = activated(x, 1)
    kept = strides == 1 and channels == 32
    shortcut = x if kept else conv(first, "shortcut_conv", strides)
    residual = conv(activated(conv(activated(conv(first, "conv1"), 2), "conv2", strides), 3), "conv3")
    compared(model, shortcut + residual, x)


@pytest.mark.parametrize(("large", "side"), [(True, 9), (True, 12), (False, 9)])
def test_stem(large: bool, side: int) -> None:
    x = np.random.default_rng(1).normal(size=(2, side, side, 3))
    image = keras.Input((side, side, 3))
    y = stem_conv(image, filters=4, large=large, norm=parse_norm("gn"))
    model = keras.Model(image, stem_pool(y) if large else y)
    kernel = randomized(model)["stem_conv/kernel"]
    expected = convolved(x, kernel, strides=2 if large else 1)
    compared(model, pooled(expected) if large else expected, x)
