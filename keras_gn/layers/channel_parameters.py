"""What layers with a scale and an offset for each channel have in common."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import constraints, initializers, regularizers

from keras_gn.layers.arguments import single_axis
from keras_gn.ops.groups import channel_axis, group_count
from keras_gn.typing import Shape


class ChannelParameters(keras.layers.Layer):
    """Owns `gamma` (unless `scale=False`) and `beta` (unless `center=False`), one number each for every channel.

    Inputs are `[N, ..., C]` of rank 2 or more, with the channels at `axis`; outputs have the same shape. A mask
    passes through. The layer's `call` gets its inputs and weights in the types they have.
    """

    def __init__(
        self,
        axis: int | Sequence[int],
        *,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        # A float16 input would overflow before it is computed with in float32.
        self.autocast = False
        self.axis = single_axis(axis)
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def build(self, input_shape: Shape) -> None:
        input_shape = tuple(input_shape)
        axis = channel_axis(self.axis, input_shape)
        channels = group_count(input_shape, axis, groups=-1)  # one group a channel; refuses an unknown number
        self.input_spec = keras.layers.InputSpec(ndim=len(input_shape), axes={axis: channels})
        self.gamma = self._add_parameter("gamma", channels) if self.scale else None
        self.beta = self._add_parameter("beta", channels) if self.center else None
        super().build(input_shape)

    def _add_parameter(self, name: str, channels: int) -> Any:
        return self.add_weight(
            shape=(channels,),
            name=name,
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
            autocast=False,
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channel_axis(self.axis, tuple(input_shape))
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }
