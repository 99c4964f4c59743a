"""Instance normalization as a Keras layer."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_gn.layers.group_normalization import GroupNormalization


@keras.saving.register_keras_serializable(package="keras_gn")
class InstanceNormalization(GroupNormalization):
    """Normalizes each channel of each sample over all positions.

        y = activation(gamma * (x - mean) / sqrt(variance + epsilon) + beta)

    with the mean and variance of each sample and channel: group normalization with one group a channel.

    Inputs and outputs are `[N, ..., C]` of rank 3 or more (channels at `axis`) with more than one position.

    Args:
        axis: The channel axis, an int or a list or tuple of one int; any but the batch axis.
        epsilon: Added to the variance.
        center: Whether to add `beta`.
        scale: Whether to multiply by `gamma`.
        **kwargs: `activation`, the initializers, regularizers and constraints of `GroupNormalization`, and
            the arguments of every Keras layer.

    Raises:
        ValueError: If the layer is built on inputs that are known to have a single position.

    Source: Ulyanov et al., Instance Normalization (arXiv 1607.08022).

    >>> import numpy as np
    >>> layer = InstanceNormalization(epsilon=1e-5)
    >>> tuple(layer(np.ones((2, 7, 7, 3), "float32")).shape)
    (2, 7, 7, 3)
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **kwargs: Any,
    ) -> None:
        for name in ("groups", "channels_per_group"):
            if name in kwargs:
                raise TypeError(
                    f"InstanceNormalization takes no `{name}`: each channel is a group. Use "
                    f"GroupNormalization to choose groups. Received: {name}={kwargs[name]!r}"
                )
        super().__init__(-1, axis, epsilon, center, scale, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["groups"], config["channels_per_group"]
        return config
