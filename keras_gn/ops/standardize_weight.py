"""Weight standardization of a convolution kernel, written in keras.ops."""

import math

import keras
from keras import ops

from keras_gn.typing import Shape, Tensor


def standardize_weight(kernel: Tensor, *, epsilon: float = 1e-10) -> Tensor:
    """Gives each filter of a convolution kernel mean 0 and variance 1.

    For filter o, over its weights i (spatial positions and input channels):

        w[i, o] = (kernel[i, o] - mean_i kernel[i, o]) / sqrt(var_i kernel[i, o] + epsilon)

    Args:
        kernel: `[*spatial, in, out]`, floating.
        epsilon: Added to the variance.

    Returns:
        A tensor with the shape of `kernel`, in float32 or wider.

    Raises:
        ValueError: If a filter has a single weight, which is its own mean: it would become 0.

    Source: Qiao et al., Weight Standardization (arXiv 1903.10520), equations 7 and 8; the default
    `epsilon` is that of Kolesnikov et al., Big Transfer (arXiv 1912.11370), who use it with group
    normalization. It is small because the variance of a kernel is: 2 / fan_in at the start.

    >>> import numpy as np
    >>> w = standardize_weight(np.array([[[[1.0, 2.0], [3.0, 6.0]]]]))
    >>> np.round(np.asarray(w), 3).tolist()
    [[[[-1.0, -1.0], [1.0, 1.0]]]]
    """
    refuse_single_weights(tuple(kernel.shape))
    kernel = ops.cast(kernel, keras.backend.result_type(kernel.dtype, "float32"))
    axes = tuple(range(len(kernel.shape) - 1))
    centred = kernel - ops.mean(kernel, axis=axes, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=axes, keepdims=True)
    return centred * ops.rsqrt(variance + epsilon)


def refuse_single_weights(shape: Shape) -> None:
    """Raises ValueError if the filters of a kernel of `shape` have one weight each."""
    if math.prod(size or 0 for size in shape[:-1]) == 1:
        raise ValueError(
            "Each filter must have more than one weight to be standardized: a single weight is its own "
            "mean and becomes 0. Use a larger `kernel_size`, more input channels per group, or a "
            f"convolution without weight standardization. Received: kernel shape={shape}"
        )
