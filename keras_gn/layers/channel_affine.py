"""A scale and an offset for each channel, as a Keras layer."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_gn.layers.channel_parameters import ChannelParameters
from keras_gn.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_gn")
class ChannelAffine(ChannelParameters):
    """Scales and shifts each channel, without any statistics.

        y = gamma * x + beta

    with `gamma` and `beta` of each channel: what a batch normalization with moving mean m, moving variance v,
    weights g and b, and epsilon e is at inference, when

        gamma = g / sqrt(v + e),  beta = b - g * m / sqrt(v + e)

    (Detection models call it frozen batch normalization.) Training and inference are the same. Computed in
    float32 or wider, and then cast to the layer's compute type.

    Inputs and outputs are `[N, ..., C]` of rank 2 or more (channels at `axis`); the batch and spatial
    sizes may be unknown. A mask is accepted and passes through to the next layer.

    Args:
        axis: The channel axis, an int or a list or tuple of one int; any but the batch axis.
        center: Whether to add `beta`.
        scale: Whether to multiply by `gamma`.
        beta_initializer, gamma_initializer: Initializers of the weights.
        beta_regularizer, gamma_regularizer: Optional regularizers of the weights.
        beta_constraint, gamma_constraint: Optional constraints of the weights.
        **kwargs: Arguments of every Keras layer, such as `name` and `dtype`.

    Raises:
        ValueError: For a bad argument; and when the layer is built, if `axis` is the batch axis or out of
            bounds, or if the number of channels is unknown.

    Source: Ioffe and Szegedy, Batch Normalization (arXiv 1502.03167), algorithm 2, step 11.

    >>> import numpy as np
    >>> layer = ChannelAffine(gamma_initializer=keras.initializers.Constant(2.0), beta_initializer="ones")
    >>> np.asarray(layer(np.array([[1.0, 10.0]]))).tolist()
    [[3.0, 21.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        *,
        center: bool = True,
        scale: bool = True,
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

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        del training, mask  # accepted because models that were built with BatchNormalization pass them
        dtype = keras.backend.result_type(inputs.dtype, self.compute_dtype, "float32")
        y = keras.ops.cast(inputs, dtype)
        # Operators: ops.add on TensorFlow takes some tensors of shape [1, C, 1, 1] for a bias of the last axis.
        if self.gamma is not None:
            y = y * self._by_channel(self.gamma, inputs, dtype)
        if self.beta is not None:
            y = y + self._by_channel(self.beta, inputs, dtype)
        return keras.ops.cast(y, self.compute_dtype)

    def _by_channel(self, parameter: Tensor, inputs: Tensor, dtype: str) -> Tensor:
        """`parameter`, `[C]`, in a shape that broadcasts against `inputs`."""
        shape = [1] * len(inputs.shape)
        shape[self.axis] = -1
        return keras.ops.reshape(keras.ops.cast(parameter, dtype), shape)
