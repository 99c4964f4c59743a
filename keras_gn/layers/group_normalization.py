"""Group normalization as a Keras layer."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import activations

from keras_gn.layers.arguments import valid_channels_per_group, valid_epsilon, valid_groups
from keras_gn.layers.channel_parameters import ChannelParameters
from keras_gn.ops import group_normalize
from keras_gn.ops.groups import channel_axis, group_count, refuse_single_elements
from keras_gn.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_gn")
class GroupNormalization(ChannelParameters):
    """Normalizes each sample over groups of neighbouring channels and all positions.

        y = activation(gamma * (x - mean) / sqrt(variance + epsilon) + beta)

    with the mean and variance of each sample and group (`keras_gn.ops.group_normalize` has the formula),
    and `gamma` and `beta` of each channel. `groups=1` is layer normalization of the whole sample, one
    group a channel instance normalization. Training and inference are the same.

    A drop-in for `keras.layers.GroupNormalization`: same defaults, weights and config, and it loads that
    layer's config. Beyond it: `channels_per_group`, `activation`, statistics that stay exact on large maps
    with a large mean, and `groups=-1` and `axis=[-1]` that survive saving.

    Inputs and outputs are `[N, ..., C]` of rank 2 or more (channels at `axis`); the batch and spatial
    sizes may be unknown.

    Masks: a mask is accepted and passes through to the next layer. As in Keras' layer the statistics do
    *not* use it: masked positions count like all others.

    Args:
        groups: Number of groups, which must divide the channels; -1 for one group a channel.
        axis: The channel axis, an int or a list or tuple of one int; any but the batch axis.
        epsilon: Added to the variance.
        center: Whether to add `beta`.
        scale: Whether to multiply by `gamma`.
        channels_per_group: The other way to choose: a group's number of channels. If given, `groups` is
            ignored.
        activation: A Keras activation (name or function) applied to the result; None for the identity.
        beta_initializer, gamma_initializer: Initializers of the weights. These and the following are
            keyword arguments only.
        beta_regularizer, gamma_regularizer: Optional regularizers of the weights.
        beta_constraint, gamma_constraint: Optional constraints of the weights.
        **kwargs: Arguments of every Keras layer, such as `name` and `dtype`.

    Raises:
        ValueError: For a bad argument; and when the layer is built, if the channels can't be divided so,
            or if each group is known to have a single element.

    Source: Wu and He, Group Normalization (arXiv 1803.08494).

    >>> import numpy as np
    >>> layer = GroupNormalization(groups=8, activation="relu")
    >>> tuple(layer(np.ones((2, 7, 7, 32), "float32")).shape)
    (2, 7, 7, 32)
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        *,
        channels_per_group: int | None = None,
        activation: str | Callable[[Tensor], Tensor] | None = None,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            axis,
            center=center,
            scale=scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            **kwargs,
        )
        self.groups = valid_groups(groups)
        self.channels_per_group = valid_channels_per_group(channels_per_group)
        self.epsilon = valid_epsilon(epsilon)
        self.activation = activations.get(activation)

    def build(self, input_shape: Shape) -> None:
        input_shape = tuple(input_shape)
        axis = channel_axis(self.axis, input_shape)
        self._group_count = group_count(
            input_shape, self.axis, groups=self.groups, channels_per_group=self.channels_per_group
        )
        refuse_single_elements(input_shape, axis, group_count=self._group_count)
        super().build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        del training, mask  # accepted because models that were built with BatchNormalization pass them
        # The wider of both types: a cast to a narrower compute type comes last, when nothing can overflow.
        wide = keras.ops.cast(inputs, keras.backend.result_type(inputs.dtype, self.compute_dtype))
        y = group_normalize(
            wide,
            self.gamma,
            self.beta,
            groups=self._group_count,
            axis=self.axis,
            epsilon=self.epsilon,
            activation=self.activation,
        )
        return keras.ops.cast(y, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "groups": self.groups,
            "epsilon": self.epsilon,
            "channels_per_group": self.channels_per_group,
            "activation": activations.serialize(self.activation),
        }
