"""SimpleNet: small plain networks for small images (32 px): three blocks, then one hidden dense layer."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
from keras import layers

from zoo.errors import UserError
from zoo.models.blocks import conv, he_normal, image_size, logits, relu
from zoo.models.norms import Norm


@dataclass(frozen=True)
class SimpleNetSpec:
    """A plain network: the number of convolutions in each of its blocks."""

    convs_per_block: int


SPECS: Mapping[str, SimpleNetSpec] = {
    "simplenet": SimpleNetSpec(convs_per_block=1),
    "simplenet_v2": SimpleNetSpec(convs_per_block=2),
}
WIDTHS = (32, 64, 128)
HIDDEN_UNITS = 1024


def simplenet_features(image: keras.KerasTensor, *, spec: SimpleNetSpec, norm: Norm) -> dict[str, keras.KerasTensor]:
    """The features c1 to c3 of `image`; cn is 2^n times smaller (rounded down).

    A block is one 3x3 convolution, norm and ReLU (twice in simplenet_v2), then a 2x2 max pool. With
    `norm="gn"` the 32 channels of the first block have one channel a group.

    Args:
        image: [B, H, W, C], standardized; H and W known and at least 8.
        spec: The variant, from `SPECS`.
        norm: Makes the normalization layers.

    Returns:
        {"c1": [B, H / 2, W / 2, 32], "c2": [B, H / 4, W / 4, 64], "c3": [B, H / 8, W / 8, 128]}.

    Raises:
        UserError: If the size of the image is unknown or too small, or `norm` does not fit.
    """
    _check_size(image)
    x = image
    features = {}
    for stage, width in enumerate(WIDTHS, start=1):
        for index in range(1, spec.convs_per_block + 1):
            x = conv(x, width, 3, norm=norm, name=f"stage{stage}_conv{index}")
            x = relu(norm(x, name=f"stage{stage}_norm{index}"), name=f"stage{stage}_relu{index}")
        x = layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
        features[f"c{stage}"] = x
    return features


def simplenet_logits(features: Mapping[str, keras.KerasTensor], num_classes: int) -> keras.KerasTensor:
    """c3 flattened, a dense layer of 1024 units with ReLU, and the classes."""
    x = layers.Flatten(name="flatten")(features["c3"])
    x = relu(layers.Dense(HIDDEN_UNITS, kernel_initializer=he_normal(), name="hidden")(x), name="hidden_relu")
    return logits(x, num_classes, kernel_initializer=keras.initializers.GlorotUniform())


def _check_size(image: keras.KerasTensor) -> None:
    smallest = 2 ** len(WIDTHS)
    sizes = image_size(image)
    if any(size is None or size < smallest for size in sizes):
        raise UserError(
            f"`input_shape` must have a known height and width of at least {smallest} pixels, since this "
            f"model halves the image {len(WIDTHS)} times and then flattens it. "
            f"Received: input_shape={tuple(image.shape[1:])}. A ResNet takes any size."
        )
