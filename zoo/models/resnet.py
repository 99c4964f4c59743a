"""ResNet v1.5 (He et al., arXiv 1512.03385; the stride sits on the 3x3 convolution) with any norm."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
from keras import layers

from zoo.models.blocks import (
    Size,
    by_axis,
    channels,
    conv,
    mean_pool_logits,
    relu,
    stem_conv,
    stem_is_large,
    stem_pool,
)
from zoo.models.norms import Norm


@dataclass(frozen=True)
class BlockConv:
    """One convolution of a residual block.

    Args:
        kernel: Its size.
        expansion: Its filters, as a multiple of the block's width.
        strided: Whether it carries the block's stride, along the axes on which its kernel is larger than 1.
        factorized: Whether it and the next one, over space and over time, stand for one of 3x3x3: then it has as many
            filters as give both as many weights as that one has (arXiv 1711.11248, section 3.5), or a few more where
            the norm's groups need them. Inputs are counted as the block's for both pairs of a block, as the published
            code does.
    """

    kernel: Size
    expansion: int = 1
    strided: bool = False
    factorized: bool = False


Block = tuple[BlockConv, ...]
BASIC: Block = (BlockConv(3, strided=True), BlockConv(3))
BOTTLENECK: Block = (BlockConv(1), BlockConv(3, strided=True), BlockConv(1, expansion=4))


@dataclass(frozen=True)
class ResNetSpec:
    """A residual network.

    Args:
        stages: The blocks of stages 2 to 5.
        strides: Of the first blocks of stages 3 to 5.
    """

    stages: tuple[tuple[Block, ...], ...]
    strides: Size = 2


def repeated(block: Block, *depths: int) -> tuple[tuple[Block, ...], ...]:
    """Stages of so many equal blocks."""
    return tuple((block,) * depth for depth in depths)


SPECS: Mapping[str, ResNetSpec] = {
    "resnet18": ResNetSpec(repeated(BASIC, 2, 2, 2, 2)),
    "resnet34": ResNetSpec(repeated(BASIC, 3, 4, 6, 3)),
    "resnet50": ResNetSpec(repeated(BOTTLENECK, 3, 4, 6, 3)),
    "resnet101": ResNetSpec(repeated(BOTTLENECK, 3, 4, 23, 3)),
    "resnet152": ResNetSpec(repeated(BOTTLENECK, 3, 8, 36, 3)),
}
STEM_FILTERS = 64
WIDTHS = (64, 128, 256, 512)


def resnet_features(
    image: keras.KerasTensor,
    *,
    spec: ResNetSpec,
    norm: Norm,
    stem: str = "auto",
    zero_init_residual: bool = True,
) -> dict[str, keras.KerasTensor]:
    """The features c2 to c5 of `image`.

    With the large stem (7x7 convolution with stride 2, max pool), cn is 2^n times smaller than the image
    (rounded up); with the small one (3x3 convolution with stride 1, no pool), 2^(n - 2) times.

    Args:
        image: [B, H, W, C], standardized.
        spec: The variant, from `SPECS`.
        norm: Makes the normalization layers.
        stem: "large", "small", or "auto": small if the short side is below 64 pixels.
        zero_init_residual: Whether the gamma of each block's last norm starts at 0, so that the block is
            the identity (or its shortcut) at first.

    Returns:
        {"c2": [B, H / 4, W / 4, C2], "c3", "c4", "c5"}; C2 to C5 are 64, 128, 256, 512 for resnet18 and 34,
        four times as many for the others.

    Raises:
        UserError: If `stem` is unknown or `norm` does not fit.
    """
    large = stem_is_large(image, stem)
    x = stem_conv(image, filters=STEM_FILTERS, large=large, norm=norm)
    x = relu(norm(x, name="stem_norm"), name="stem_relu")
    if large:
        x = stem_pool(x)
    features = {}
    for stage in (2, 3, 4, 5):
        x = resnet_stage(x, stage, spec=spec, norm=norm, zero_init_residual=zero_init_residual)
        features[f"c{stage}"] = x
    return features


def resnet_stage(
    x: keras.KerasTensor, stage: int, *, spec: ResNetSpec, norm: Norm, zero_init_residual: bool = True
) -> keras.KerasTensor:
    """One of the stages 2 to 5; those after the second begin with the stride of `spec`.

    Args:
        x: What the stage before puts out.
        stage: Its number; its layers' names begin with stage<number>.
        spec: See `resnet_features`.
        norm: Makes the normalization layers.
        zero_init_residual: See `resnet_features`.
    """
    for block, convs in enumerate(spec.stages[stage - 2], start=1):
        x = residual_block(
            x,
            convs=convs,
            width=WIDTHS[stage - 2],
            strides=spec.strides if stage > 2 and block == 1 else 1,
            norm=norm,
            zero_gamma=zero_init_residual,
            name=f"stage{stage}_block{block}",
        )
    return x


def residual_block(
    x: keras.KerasTensor,
    *,
    convs: Block,
    width: int,
    strides: Size,
    norm: Norm,
    zero_gamma: bool,
    name: str,
) -> keras.KerasTensor:
    """y = relu(shortcut(x) + f(x)), f being the convolutions, each with a norm, with ReLUs in between.

    The shortcut is the identity where shapes allow it, else a 1x1 convolution and a norm.
    """
    shortcut = x
    inputs, filters = channels(x), width * convs[-1].expansion
    if strides != 1 or inputs != filters:
        shortcut = conv(x, filters, 1, strides=strides, norm=norm, name=f"{name}_shortcut_conv")
        shortcut = norm(shortcut, name=f"{name}_shortcut_norm")
    for index, part in enumerate(convs, start=1):
        if index > 1:
            x = relu(x, name=f"{name}_relu{index - 1}")
        norm_name = f"{name}_norm{index}"
        outputs = width * part.expansion
        if part.factorized:
            outputs = norm.channels(factorized_filters(inputs, width), name=norm_name)
        stride = _carried(x, strides, part.kernel) if part.strided else 1
        x = conv(x, outputs, part.kernel, strides=stride, norm=norm, name=f"{name}_conv{index}")
        x = norm(x, name=norm_name, zero_gamma=zero_gamma and index == len(convs))
    return relu(layers.Add(name=f"{name}_add")([shortcut, x]), name=f"{name}_out")


def factorized_filters(inputs: int, outputs: int) -> int:
    """The filters between 1x3x3 and 3x1x1 that give both as many weights as 3x3x3 has, rounded down.

        27 * inputs * outputs / (9 * inputs + 3 * outputs)

    >>> factorized_filters(64, 64)
    144
    """
    return 27 * inputs * outputs // (9 * inputs + 3 * outputs)


def _carried(x: keras.KerasTensor, strides: Size, kernel: Size) -> Size:
    """The stride of a kernel, 1 along the axes on which it sees one position only."""
    pairs = zip(by_axis(x, strides), by_axis(x, kernel), strict=True)
    return tuple(stride if side > 1 else 1 for stride, side in pairs)


def resnet_logits(features: Mapping[str, keras.KerasTensor], num_classes: int) -> keras.KerasTensor:
    """Global mean of c5 and a dense layer whose weights start at N(0, 0.01) (arXiv 1706.02677, 5.1)."""
    return mean_pool_logits(
        features["c5"], num_classes, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)
    )
