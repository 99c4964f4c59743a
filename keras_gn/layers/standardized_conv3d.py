"""3-D convolution with weight standardization."""

import keras

from keras_gn.layers.conv3d import Conv3D
from keras_gn.layers.weight_standardization import WeightStandardization


@keras.saving.register_keras_serializable(package="keras_gn")
class StandardizedConv3D(WeightStandardization, Conv3D):
    """`keras_gn.layers.Conv3D` whose filters are standardized before the convolution.

        y = activation(conv(x, w) + bias),  w = (kernel - mean) / sqrt(variance + standardize_epsilon)

    with the mean and variance of each filter over its weights (time, height, width, input channels).
    `kernel` and the saved weights are those before standardization. Made to go with group normalization.

    Inputs are clips `[N, T, H, W, C]`, or channels-first by `data_format`.

    Args:
        *args, **kwargs: The arguments of `keras.layers.Conv3D`, all but LoRA's; like that layer it can't
            be quantized.
        standardize_epsilon: Added to the variance of a filter; a keyword argument.

    Raises:
        ValueError: If LoRA is asked for; when the layer is built, if a filter has a single weight.

    Source: Qiao et al., Weight Standardization (arXiv 1903.10520); used with group normalization, and with
    this epsilon, by Kolesnikov et al., Big Transfer (arXiv 1912.11370).

    >>> import numpy as np
    >>> layer = StandardizedConv3D(16, 3, use_bias=False)
    >>> tuple(layer(np.ones((2, 4, 8, 8, 3), "float32")).shape)
    (2, 2, 6, 6, 16)
    """
