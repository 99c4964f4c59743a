"""Every layer of keras_gn in its settings: the one table that each property is tested on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pytest

from conformance import reference
from keras_gn import layers


@dataclass(frozen=True)
class Descriptor:
    """A layer, its settings, the shape of an input, and what it should compute.

    `expected(inputs, weights)` is the float64 reference, with the weights in the layer's order.
    """

    name: str
    layer: type[keras.layers.Layer]
    settings: dict[str, Any]
    input_shape: tuple[int, ...]
    expected: Callable[..., np.ndarray]
    channel_axis: int = -1
    dynamic_axes: tuple[int, ...] = field(default=())

    def inputs(self, batch: int | None = None) -> np.ndarray:
        """Inputs of mean 2 and deviation 3, other ones for other shapes."""
        shape = (self.input_shape[0] if batch is None else batch, *self.input_shape[1:])
        return np.random.default_rng(len(self.name)).normal(2.0, 3.0, shape).astype("float32")

    def build(self, input_shape: tuple[int, ...] | None = None, **overrides: Any) -> keras.layers.Layer:
        """The layer, built, with weights that are far from their neutral initial values."""
        layer = self.layer(**{**self.settings, **overrides})
        layer.build((None, *(input_shape or self.input_shape)[1:]))
        generator = np.random.default_rng(1)
        layer.set_weights([generator.normal(0.5, 1.0, weight.shape) for weight in layer.get_weights()])
        return layer


def _normalization(name, layer, settings, input_shape, *, groups):
    axis = settings.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) else axis

    def expected(inputs, weights):
        weights = list(weights)
        return reference.group_normalize(
            inputs,
            weights.pop(0) if settings.get("scale", True) else None,
            weights.pop(0) if settings.get("center", True) else None,
            groups=groups,
            axis=axis,
            epsilon=settings.get("epsilon", 1e-3),
            activation=settings.get("activation"),
        )

    rank = len(input_shape)
    dynamic = tuple(index for index in range(1, rank) if index != axis % rank)
    return Descriptor(name, layer, settings, input_shape, expected, axis, dynamic)


def _affine(name, settings, input_shape):
    axis = settings.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) else axis

    def expected(inputs, weights):
        weights = list(weights)
        gamma = weights.pop(0) if settings.get("scale", True) else 1.0
        beta = weights.pop(0) if settings.get("center", True) else 0.0
        return np.moveaxis(np.moveaxis(np.asarray(inputs, "float64"), axis, -1) * gamma + beta, -1, axis)

    dynamic = tuple(index for index in range(1, len(input_shape)) if index != axis % len(input_shape))
    return Descriptor(name, layers.ChannelAffine, settings, input_shape, expected, axis, dynamic)


def _convolution(name, layer, settings, input_shape):
    def expected(inputs, weights):
        kernel = np.asarray(weights[0], "float64")
        if layer is not _CONV3D:
            kernel = reference.standardize_weight(kernel, epsilon=settings.get("standardize_epsilon", 1e-10))
        y = reference.convolve(
            np.asarray(inputs, "float64"),
            kernel,
            weights[1] if settings.get("use_bias", True) else None,
            strides=settings.get("strides", 1),
            padding=settings.get("padding", "valid"),
            dilation=settings.get("dilation_rate", 1),
            groups=settings.get("groups", 1),
        )
        return reference.ACTIVATIONS[settings.get("activation")](y)

    return Descriptor(name, layer, settings, input_shape, expected, dynamic_axes=tuple(range(1, len(input_shape) - 1)))


_GN, _IN = layers.GroupNormalization, layers.InstanceNormalization
_CONV3D, _STD2D, _STD3D = layers.Conv3D, layers.StandardizedConv2D, layers.StandardizedConv3D

NORMALIZATIONS = [
    _normalization("gn_rank2", _GN, {"groups": 3}, (4, 12), groups=3),
    _normalization("gn_rank3", _GN, {"groups": 2}, (4, 7, 8), groups=2),
    _normalization("gn_rank4", _GN, {"groups": 4, "epsilon": 1e-5}, (4, 6, 5, 8), groups=4),
    _normalization("gn_rank5", _GN, {"groups": 3}, (2, 3, 4, 5, 6), groups=3),
    _normalization("gn_channels_first", _GN, {"groups": 4, "axis": 1}, (2, 8, 5, 6), groups=4),
    _normalization("gn_rank5_channels_first", _GN, {"groups": 2, "axis": 1}, (2, 4, 3, 5, 2), groups=2),
    _normalization("gn_middle_axis", _GN, {"groups": 2, "axis": -2}, (2, 5, 8, 6), groups=2),
    _normalization("gn_list_axis", _GN, {"groups": 2, "axis": [2]}, (2, 5, 8), groups=2),
    _normalization("gn_one_group", _GN, {"groups": 1}, (2, 5, 5, 6), groups=1),
    _normalization("gn_minus_one", _GN, {"groups": -1}, (2, 5, 5, 6), groups=-1),
    _normalization("gn_channels_per_group", _GN, {"channels_per_group": 4}, (2, 5, 5, 12), groups=3),
    _normalization("gn_no_center", _GN, {"groups": 2, "center": False}, (2, 4, 5, 6), groups=2),
    _normalization("gn_no_scale", _GN, {"groups": 2, "scale": False}, (2, 4, 5, 6), groups=2),
    _normalization("gn_plain", _GN, {"groups": 2, "scale": False, "center": False}, (2, 4, 6), groups=2),
    _normalization("gn_relu", _GN, {"groups": 4, "activation": "relu"}, (2, 6, 5, 8), groups=4),
    _normalization("gn_swish", _GN, {"groups": 4, "activation": "swish", "axis": 1}, (2, 8, 5), groups=4),
    _normalization("gn_1x1", _GN, {"groups": 4}, (2, 1, 1, 8), groups=4),
    _normalization("in_rank3", _IN, {}, (2, 9, 5), groups=-1),
    _normalization("in_rank4", _IN, {"epsilon": 1e-5}, (2, 6, 5, 4), groups=-1),
    _normalization("in_rank5", _IN, {"activation": "relu"}, (2, 3, 4, 5, 3), groups=-1),
    _normalization("in_channels_first", _IN, {"axis": 1, "scale": False}, (2, 3, 6, 5), groups=-1),
    # A batch normalization with fixed statistics: no statistics of its own, and every other property.
    _affine("affine_rank2", {}, (4, 12)),
    _affine("affine_rank3_no_scale", {"scale": False}, (4, 7, 8)),
    _affine("affine_rank4", {}, (2, 6, 5, 8)),
    _affine("affine_channels_first", {"axis": 1}, (2, 8, 5, 6)),
    # ops.add on TensorFlow would add this beta along the last axis.
    _affine("affine_channels_first_square", {"axis": 1}, (2, 6, 6, 6)),
    _affine("affine_rank5_list_axis", {"axis": [2], "center": False}, (2, 3, 4, 5, 2)),
]

# `filters` is never the output's width: Keras' channels-first convolution (seen in 3.15, on TensorFlow)
# would then add its bias along the width.
CONVOLUTIONS = [
    _convolution("conv2d", _STD2D, {"filters": 6, "kernel_size": 3}, (2, 6, 7, 4)),
    _convolution("conv2d_1x1", _STD2D, {"filters": 4, "kernel_size": 1, "use_bias": False}, (2, 4, 4, 6)),
    _convolution(
        "conv2d_same_strides",
        _STD2D,
        {"filters": 3, "kernel_size": (3, 2), "strides": 2, "padding": "same", "activation": "relu"},
        (2, 6, 7, 4),
    ),
    _convolution(
        "conv2d_groups_dilation",
        _STD2D,
        {"filters": 6, "kernel_size": 2, "groups": 2, "dilation_rate": 2, "standardize_epsilon": 1e-5},
        (2, 6, 7, 4),
    ),
    _convolution("conv3d", _STD3D, {"filters": 4, "kernel_size": 2, "padding": "same"}, (2, 3, 4, 5, 3)),
    _convolution("conv3d_strides", _STD3D, {"filters": 4, "kernel_size": 2, "strides": 2}, (2, 4, 5, 4, 3)),
    _convolution("plain_conv3d", _CONV3D, {"filters": 4, "kernel_size": (3, 2, 3), "padding": "same"}, (2, 3, 4, 5, 3)),
    _convolution("plain_conv3d_strides", _CONV3D, {"filters": 4, "kernel_size": 3, "strides": 2}, (2, 5, 6, 7, 3)),
    _convolution(
        "plain_conv3d_time",
        _CONV3D,
        {"filters": 4, "kernel_size": (3, 1, 1), "padding": "same", "use_bias": False, "activation": "relu"},
        (2, 4, 5, 3, 3),
    ),
    _convolution(
        "plain_conv3d_as_keras", _CONV3D, {"filters": 4, "kernel_size": 2, "dilation_rate": 2}, (2, 4, 5, 4, 3)
    ),
]

LAYERS = NORMALIZATIONS + CONVOLUTIONS


def each(descriptors: list[Descriptor]) -> pytest.MarkDecorator:
    """Runs a test with each of the `descriptors`, under its name."""
    return pytest.mark.parametrize("descriptor", descriptors, ids=lambda descriptor: descriptor.name)
