"""Feature pyramid (Lin et al., arXiv 1612.03144): maps of several scales, all with the same number of channels."""

from collections.abc import Mapping

import keras
from keras import layers, ops

from zoo.models.blocks import conv
from zoo.models.norms import Norm


@keras.saving.register_keras_serializable(package="keras_gn")
class UpsampleAdd(keras.Layer):
    """y = fine + the coarse map, each cell of which is doubled in both directions and cut to the fine map's size.

    Takes [fine [B, H, W, C], coarse [B, ceil(H / 2), ceil(W / 2), C]], returns [B, H, W, C]. Where the fine
    map's size is odd, the last row or column of the doubled map is left out; nearest-neighbour
    interpolation to that size, as torchvision does it, gives the same.

    >>> UpsampleAdd()([ops.zeros((1, 3, 2, 1)), ops.ones((1, 2, 1, 1))]).shape[1:3] == (3, 2)
    True
    """

    def call(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        fine, coarse = inputs
        doubled = ops.repeat(ops.repeat(coarse, 2, axis=1), 2, axis=2)
        return fine + doubled[:, : ops.shape(fine)[1], : ops.shape(fine)[2]]

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return tuple(input_shape[0])


def feature_pyramid(
    features: Mapping[str, keras.KerasTensor], *, norm: Norm, channels: int = 256
) -> dict[str, keras.KerasTensor]:
    """The features p2 to p6 of a backbone's c2 to c5.

        m5 = lateral(c5),  mn = lateral(cn) + upsample(m(n+1)),  pn = output(mn),  p6 = every second cell of p5

    lateral is a 1x1 and output a 3x3 convolution, both linear, each followed by `norm` (Group Normalization,
    arXiv 1803.08494, section 4.2, normalizes here, too; the FPN paper doesn't: "none"). p6 serves the region
    proposals only (FPN, section 4.1).

    pn is as large as cn, whatever the image's size; p6 is ceil(size / 2) of p5. Where the image's sizes are not
    divisible by 32, a cell of pn still stands for 2^n pixels, the last ones partly outside the image.

    Args:
        features: {"c2", "c3", "c4", "c5"}, [B, H, W, C] each.
        norm: Makes the normalization layers.
        channels: Of every map of the pyramid.

    Returns:
        {"p2", "p3", "p4", "p5", "p6"}, [B, H, W, channels] each. The layers are called fpn_lateral<n>_conv,
        fpn_lateral<n>_norm, fpn_add<n>, fpn_output<n>_conv, fpn_output<n>_norm and p6.

    Raises:
        UserError: If `norm` does not fit.

    >>> from zoo.models.norms import parse_norm
    >>> features = {f"c{n}": keras.Input((400 // 2**n, 300 // 2**n, 8)) for n in (2, 3, 4, 5)}
    >>> feature_pyramid(features, norm=parse_norm("none"), channels=16)["p6"].shape
    (None, 6, 5, 16)
    """
    merged: dict[int, keras.KerasTensor] = {}
    for n in (5, 4, 3, 2):
        lateral = _conv_norm(features[f"c{n}"], channels, 1, norm=norm, name=f"fpn_lateral{n}")
        merged[n] = lateral if n == 5 else UpsampleAdd(name=f"fpn_add{n}")([lateral, merged[n + 1]])
    pyramid = {f"p{n}": _conv_norm(merged[n], channels, 3, norm=norm, name=f"fpn_output{n}") for n in (2, 3, 4, 5)}
    return {**pyramid, "p6": layers.MaxPooling2D(1, strides=2, name="p6")(pyramid["p5"])}


def _conv_norm(x: keras.KerasTensor, filters: int, kernel: int, *, norm: Norm, name: str) -> keras.KerasTensor:
    # Detectron's initializer of the pyramid (Caffe2's XavierFill).
    xavier = keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="uniform")
    x = conv(x, filters, kernel, norm=norm, kernel_initializer=xavier, name=f"{name}_conv")
    return norm(x, name=f"{name}_norm")
