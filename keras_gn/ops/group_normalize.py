"""Group normalization of a tensor: the definition, and the way to the kernel that computes it."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_gn.ops import portable
from keras_gn.ops.groups import channel_axis, group_count, refuse_single_elements
from keras_gn.ops.kernel_choice import native_kernel, portable_kernel
from keras_gn.typing import Tensor


def group_normalize(
    x: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    *,
    groups: int,
    axis: int = -1,
    epsilon: float = 1e-5,
    activation: str | Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Normalizes each sample over groups of neighbouring channels and all positions.

    For sample n, channel c in the group g of C / groups neighbouring channels, and position p:

        mean[n, g] = mean of x[n, p, c] over all p and the c in g
        var[n, g]  = mean of (x[n, p, c] - mean[n, g])^2 over the same
        y[n, p, c] = activation(gamma[c] * (x[n, p, c] - mean[n, g]) / sqrt(var[n, g] + epsilon) + beta[c])

    `groups=1` is layer normalization of the whole sample, `groups=C` (or -1) instance normalization.
    Statistics are float32, or float64 for float64 inputs (where Keras computes in it: on TensorFlow). No
    sample depends on another one; 0 samples give 0 samples.

    Args:
        x: Tensor `[N, ..., C]` of rank 2 or more (channels at `axis`); the batch and spatial sizes may be
            unknown. Integers are treated as float32.
        gamma, beta: Scale and offset, `[C]`; None for 1 and 0.
        groups: Number of groups, which must divide C, or -1 for one group a channel.
        axis: The channel axis; any but 0, the batch axis.
        epsilon: Added to the variance.
        activation: A Keras activation (name or function) of the result; None for the identity.

    Returns:
        A tensor with the shape and the floating type of `x`.

    Raises:
        ValueError: If `axis` is the batch axis or out of bounds, if `groups` doesn't divide the channels,
            if `gamma` or `beta` isn't `[C]`, or if each group is known to have a single element.

    `keras_gn.ops.set_kernel` chooses what computes it; results differ by roundings.

    Source: Wu and He, Group Normalization (arXiv 1803.08494), section 3.1.

    >>> import numpy as np
    >>> y = group_normalize(np.array([[1.0, 3.0, 10.0, 30.0]]), groups=2, epsilon=0.0)
    >>> np.round(np.asarray(y), 3).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    x = x if keras.backend.is_keras_tensor(x) else ops.convert_to_tensor(x)
    shape = tuple(x.shape)
    axis = channel_axis(axis, shape)
    groups = group_count(shape, axis, groups=groups)
    refuse_single_elements(shape, axis, group_count=groups)
    for name, parameter in (("gamma", gamma), ("beta", beta)):
        _check_parameter(parameter, name=name, channels=shape[axis])
    if not keras.backend.is_float_dtype(x.dtype):
        x = ops.cast(x, "float32")
    arguments: dict[str, Any] = {"groups": groups, "axis": axis, "epsilon": epsilon}
    function = keras.activations.get(activation)
    if keras.backend.is_keras_tensor(x):
        return function(portable.normalize(x, gamma, beta, **arguments))
    if axis in (1, len(shape) - 1) and (native := native_kernel()):
        return native.normalize(x, gamma, beta, activation=function, **arguments)
    return function(portable_kernel().normalize(x, gamma, beta, **arguments))


def _check_parameter(parameter: Tensor | None, *, name: str, channels: int | None) -> None:
    shape = None if parameter is None else tuple(ops.shape(parameter))
    if shape not in (None, (channels,)):
        raise ValueError(
            f"`{name}` must have one value for each of the {channels} channels, shape ({channels},), or be None. "
            f"Received: {name} of shape {shape}"
        )
