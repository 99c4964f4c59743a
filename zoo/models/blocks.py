"""The parts that the residual networks share: convolution with explicit padding, stem, head."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import layers

from keras_gn.layers import StandardizedConv2D
from zoo.errors import unknown_name
from zoo.models.norms import Norm, channel_axis

STEMS = ("auto", "small", "large")
# The smallest short side, in pixels, for which the stem may discard three quarters of the pixels twice.
LARGE_STEM_FROM = 64


@dataclass(frozen=True)
class _RankLayers:
    conv: Callable[..., keras.Layer]
    standardized_conv: Callable[..., keras.Layer]
    pad: Callable[..., keras.Layer]
    max_pool: Callable[..., keras.Layer]
    mean_pool: Callable[..., keras.Layer]


# By the number of spatial dimensions, which is read off the input.
_LAYERS = {
    2: _RankLayers(
        conv=layers.Conv2D,
        standardized_conv=StandardizedConv2D,
        pad=layers.ZeroPadding2D,
        max_pool=layers.MaxPooling2D,
        mean_pool=layers.GlobalAveragePooling2D,
    ),
}


def _layers_for(x: keras.KerasTensor) -> _RankLayers:
    return _LAYERS[len(x.shape) - 2]


def he_normal() -> keras.Initializer:
    """He's normal initializer by fan-out (arXiv 1502.01852), which keeps the size of the gradients.

    Every layer needs its own: a Keras initializer gives the same numbers each time it is called.
    """
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


def channels(x: keras.KerasTensor) -> int:
    """The number of channels of `x`."""
    return int(x.shape[channel_axis()])


def image_size(x: keras.KerasTensor) -> tuple[int | None, ...]:
    """The spatial sizes of `x`, None where unknown."""
    return tuple(x.shape[2:] if channel_axis() == 1 else x.shape[1:-1])


def pad(x: keras.KerasTensor, width: int, *, name: str) -> keras.KerasTensor:
    """Pads every spatial side of `x` with `width` zeros."""
    return _layers_for(x).pad(width, name=name)(x)


def conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    *,
    norm: Norm,
    name: str,
    strides: int = 1,
    kernel_initializer: keras.Initializer | None = None,
) -> keras.KerasTensor:
    """Convolution for use with `norm`; the output is ceil(size / strides) large.

    A strided kernel is padded alike on both sides, as in the published networks: Keras' "same" would shift
    the image by a pixel from what their weights expect.

    Args:
        x: [B, H, W, C].
        filters: Number of output channels.
        kernel: Side of the kernel, odd.
        norm: Says whether the weights are standardized and whether there is a bias.
        name: Of the layer.
        strides: 1 or more.
        kernel_initializer: Of the weights; None: `he_normal`.
    """
    padding = "same"
    if strides > 1 and kernel > 1:
        x = pad(x, kernel // 2, name=f"{name}_pad")
        padding = "valid"
    kinds = _layers_for(x)
    layer = kinds.standardized_conv if norm.standardized else kinds.conv
    return layer(
        filters,
        kernel,
        strides=strides,
        padding=padding,
        use_bias=norm.conv_bias,
        kernel_initializer=kernel_initializer or he_normal(),
        name=name,
    )(x)


def relu(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """max(x, 0) as a layer."""
    return layers.ReLU(name=name)(x)


def stem_is_large(image: keras.KerasTensor, stem: str) -> bool:
    """Whether `stem` means the large one for `image`; "auto" decides by the short side.

    Unknown sizes count as large.

    Raises:
        UserError: If `stem` is not one of `STEMS`.
    """
    if stem not in STEMS:
        raise unknown_name("stem", str(stem), STEMS)
    known = [size for size in image_size(image) if size is not None]
    return stem == "large" or (stem == "auto" and min(known, default=LARGE_STEM_FROM) >= LARGE_STEM_FROM)


def stem_conv(image: keras.KerasTensor, *, filters: int, large: bool, norm: Norm) -> keras.KerasTensor:
    """The first convolution: 7x7 with stride 2 (large), or 3x3 with stride 1 (small)."""
    kernel, strides = (7, 2) if large else (3, 1)
    return conv(image, filters, kernel, strides=strides, norm=norm, name="stem_conv")


def stem_pool(x: keras.KerasTensor) -> keras.KerasTensor:
    """The large stem's 3x3 max pool with stride 2, zeros around it."""
    x = pad(x, 1, name="stem_pool_pad")
    return _layers_for(x).max_pool(3, strides=2, name="stem_pool")(x)


def mean_pool_logits(
    x: keras.KerasTensor, num_classes: int, *, kernel_initializer: keras.Initializer
) -> keras.KerasTensor:
    """Global mean and one dense layer, in float32 under any precision policy: [B, num_classes]."""
    pooled = _layers_for(x).mean_pool(dtype="float32", name="pool")(x)
    return logits(pooled, num_classes, kernel_initializer=kernel_initializer)


def logits(x: keras.KerasTensor, num_classes: int, *, kernel_initializer: keras.Initializer) -> keras.KerasTensor:
    """The last layer of every classifier, in float32 under any precision policy."""
    dense = layers.Dense(num_classes, kernel_initializer=kernel_initializer, dtype="float32", name="logits")
    return dense(x)
