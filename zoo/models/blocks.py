"""The parts that the residual networks share: convolution with explicit padding, stem, head."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import layers

from keras_gn.layers import Conv3D, StandardizedConv2D, StandardizedConv3D
from zoo.errors import unknown_name
from zoo.models.norms import Norm, channel_axis

# One number for all axes, or one for each: (height, width), or (time, height, width).
Size = int | tuple[int, ...]

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


# By the number of axes besides batch and channels, which is read off the input: images have two, clips three.
_LAYERS = {
    2: _RankLayers(
        conv=layers.Conv2D,
        standardized_conv=StandardizedConv2D,
        pad=layers.ZeroPadding2D,
        max_pool=layers.MaxPooling2D,
        mean_pool=layers.GlobalAveragePooling2D,
    ),
    3: _RankLayers(
        conv=Conv3D,
        standardized_conv=StandardizedConv3D,
        pad=layers.ZeroPadding3D,
        max_pool=layers.MaxPooling3D,
        mean_pool=layers.GlobalAveragePooling3D,
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
    """Height and width of `x`, None where unknown."""
    return tuple(x.shape[2:] if channel_axis() == 1 else x.shape[1:-1])[-2:]


def by_axis(x: keras.KerasTensor, size: Size) -> tuple[int, ...]:
    """`size` along each axis of `x` besides batch and channels."""
    return (size,) * (len(x.shape) - 2) if isinstance(size, int) else size


def pad(x: keras.KerasTensor, width: Size, *, name: str) -> keras.KerasTensor:
    """Pads both sides of every axis of `x` with `width` zeros."""
    return _layers_for(x).pad(width, name=name)(x)


def conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: Size,
    *,
    norm: Norm,
    name: str,
    strides: Size = 1,
    kernel_initializer: keras.Initializer | None = None,
) -> keras.KerasTensor:
    """Convolution for use with `norm`; the output is ceil(size / strides) large.

    A strided kernel is padded alike on both sides, as in the published networks: Keras' "same" would shift
    the image by a pixel from what their weights expect.

    Args:
        x: [B, H, W, C] or [B, T, H, W, C].
        filters: Number of output channels.
        kernel: Size of the kernel, odd.
        norm: Says whether the weights are standardized and whether there is a bias.
        name: Of the layer.
        strides: 1 or more.
        kernel_initializer: Of the weights; None: `he_normal`.
    """
    padding = "same"
    sides = by_axis(x, kernel)
    if any(side > 1 and stride > 1 for side, stride in zip(sides, by_axis(x, strides), strict=True)):
        x = pad(x, tuple(side // 2 for side in sides), name=f"{name}_pad")
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
    """Whether `stem` means the large one for `image`, or for a clip; "auto" decides by the short side.

    Unknown sizes count as large.

    Raises:
        UserError: If `stem` is not one of `STEMS`.
    """
    if stem not in STEMS:
        raise unknown_name("stem", str(stem), STEMS)
    known = [size for size in image_size(image) if size is not None]
    return stem == "large" or (stem == "auto" and min(known, default=LARGE_STEM_FROM) >= LARGE_STEM_FROM)


def stem_conv(
    image: keras.KerasTensor, *, filters: int, large: bool, norm: Norm, frames: tuple[int, ...] = ()
) -> keras.KerasTensor:
    """The first convolution: 7x7 with stride 2 (large), or 3x3 with stride 1 (small).

    Of a clip, `frames` is (how many the kernel covers,), and the stride along time is 1.
    """
    side, stride = (7, 2) if large else (3, 1)
    strides = (*(1 for _ in frames), stride, stride)
    return conv(image, filters, (*frames, side, side), strides=strides, norm=norm, name="stem_conv")


def stem_pool(x: keras.KerasTensor, *, frames: tuple[int, ...] = ()) -> keras.KerasTensor:
    """The large stem's 3x3 max pool with stride 2, zeros around it.

    Of a clip, `frames` is (how many it covers,): 3 halve their number, 1 keeps it.
    """
    sides = (*frames, 3, 3)
    x = pad(x, tuple(side // 2 for side in sides), name="stem_pool_pad")
    strides = tuple(2 if side > 1 else 1 for side in sides)
    return _layers_for(x).max_pool(sides, strides=strides, name="stem_pool")(x)


def mean_pool_logits(
    x: keras.KerasTensor, num_classes: int, *, kernel_initializer: keras.Initializer, dropout: float = 0.0
) -> keras.KerasTensor:
    """Global mean and one dense layer, in float32 under any precision policy: [B, num_classes].

    `dropout` is the share of the means that training leaves out; without one there is no layer for it.
    """
    pooled = _layers_for(x).mean_pool(dtype="float32", name="pool")(x)
    if dropout:
        pooled = layers.Dropout(dropout, dtype="float32", name="dropout")(pooled)
    return logits(pooled, num_classes, kernel_initializer=kernel_initializer)


def logits(x: keras.KerasTensor, num_classes: int, *, kernel_initializer: keras.Initializer) -> keras.KerasTensor:
    """The last layer of every classifier, in float32 under any precision policy."""
    dense = layers.Dense(num_classes, kernel_initializer=kernel_initializer, dtype="float32", name="logits")
    return dense(x)
