"""BiT: pre-activation ResNets with group norm and standardized weights (arXiv 1912.11370)."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
from keras import layers

from zoo.models.blocks import channels, conv, mean_pool_logits, relu, stem_conv, stem_is_large, stem_pool
from zoo.models.norms import Norm


@dataclass(frozen=True)
class ResNetV2Spec:
    """A BiT network: units in stages 2 to 5, and the factor by which every width is multiplied."""

    depths: tuple[int, int, int, int]
    width_factor: int


SPECS: Mapping[str, ResNetV2Spec] = {
    "resnetv2_50x1": ResNetV2Spec((3, 4, 6, 3), 1),
    "resnetv2_101x1": ResNetV2Spec((3, 4, 23, 3), 1),
}
STEM_FILTERS = 64
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4


def resnet_v2_features(
    image: keras.KerasTensor, *, spec: ResNetV2Spec, norm: Norm, stem: str = "auto"
) -> dict[str, keras.KerasTensor]:
    """The features c2 to c5 of `image`.

    The published form is `norm="gn+ws"`. c2 to c4 are sums that the next unit normalizes; c5 has gone
    through the network's final norm and ReLU. Sizes and `stem` are as in `resnet_features`; the stem has no
    norm of its own.

    Args:
        image: [B, H, W, C], standardized.
        spec: The variant, from `SPECS`.
        norm: Makes the normalization layers.
        stem: "large", "small", or "auto": small if the short side is below 64 pixels.

    Returns:
        {"c2": [B, H / 4, W / 4, 256], "c3", "c4", "c5": [B, H / 32, W / 32, 2048]}, times the width factor.

    Raises:
        UserError: If `stem` is unknown or `norm` does not fit.
    """
    large = stem_is_large(image, stem)
    x = stem_conv(image, filters=STEM_FILTERS * spec.width_factor, large=large, norm=norm)
    if large:
        x = stem_pool(x)
    features = {}
    for stage, (depth, width) in enumerate(zip(spec.depths, WIDTHS, strict=True), start=2):
        for block in range(1, depth + 1):
            x = preactivation_unit(
                x,
                width=width * spec.width_factor,
                strides=2 if stage > 2 and block == 1 else 1,
                norm=norm,
                name=f"stage{stage}_block{block}",
            )
        features[f"c{stage}"] = x
    features["c5"] = relu(norm(x, name="final_norm"), name="final_relu")
    return features


def preactivation_unit(x: keras.KerasTensor, *, width: int, strides: int, norm: Norm, name: str) -> keras.KerasTensor:
    """y = shortcut + conv3(a(conv2(a(conv1(a(x)))))), a = ReLU after norm (He et al., arXiv 1603.05027).

    The shortcut is x where shapes allow it, else a 1x1 convolution of a(x), without a norm.
    """
    filters = width * EXPANSION
    shortcut = x
    x = relu(norm(x, name=f"{name}_norm1"), name=f"{name}_relu1")
    if strides > 1 or channels(shortcut) != filters:
        shortcut = conv(x, filters, 1, strides=strides, norm=norm, name=f"{name}_shortcut_conv")
    x = conv(x, width, 1, norm=norm, name=f"{name}_conv1")
    x = relu(norm(x, name=f"{name}_norm2"), name=f"{name}_relu2")
    x = conv(x, width, 3, strides=strides, norm=norm, name=f"{name}_conv2")
    x = relu(norm(x, name=f"{name}_norm3"), name=f"{name}_relu3")
    x = conv(x, filters, 1, norm=norm, name=f"{name}_conv3")
    return layers.Add(name=f"{name}_out")([shortcut, x])


def resnet_v2_logits(features: Mapping[str, keras.KerasTensor], num_classes: int) -> keras.KerasTensor:
    """Global mean of c5 and a dense layer that starts at zero, as BiT's does."""
    return mean_pool_logits(features["c5"], num_classes, kernel_initializer=keras.initializers.Zeros())
