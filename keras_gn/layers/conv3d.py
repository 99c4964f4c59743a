"""3-D convolution whose gradient is no slower than it must be on a CPU."""

import keras
from keras import ops

from keras_gn.ops import convolve_clip
from keras_gn.typing import Tensor

# The backends that compute the gradients of 3-D convolutions slowly on CPUs.
_SLOW_ON_CPUS = ("tensorflow", "jax")


@keras.saving.register_keras_serializable(package="keras_gn")
class Conv3D(keras.layers.Conv3D):
    """`keras.layers.Conv3D`, computed as a convolution of images where that is faster.

    On CPUs, TensorFlow's and JAX' gradient of a 3-D convolution with strides takes some hundred times as long as the
    convolution. There, channels-last convolutions without dilation and groups go through
    `keras_gn.ops.convolve_clip`, which computes the same. Arguments, weights, and outputs but for rounding are those of
    Keras' layer; so is everything on other devices.

    Inputs are clips `[N, T, H, W, C]`, or channels-first by `data_format`.

    Args:
        *args, **kwargs: The arguments of `keras.layers.Conv3D`.

    >>> import numpy as np
    >>> layer = Conv3D(16, 3, strides=(1, 2, 2), padding="same")
    >>> tuple(layer(np.ones((2, 4, 8, 8, 3), "float32")).shape)
    (2, 4, 4, 4, 16)
    """

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        if not self._is_for_images() or not _on_cpu():
            return super().convolution_op(inputs, kernel)
        kernel = ops.convert_to_tensor(kernel)
        return convolve_clip(inputs, kernel, strides=tuple(self.strides), padding=self.padding)

    def _is_for_images(self) -> bool:
        """Whether the settings are those that `convolve_clip` knows."""
        strides_fit = self.padding == "valid" or (self.padding == "same" and self.strides[0] == 1)
        is_plain = self.groups == 1 and set(self.dilation_rate) == {1}
        return strides_fit and is_plain and self.data_format == "channels_last"


def _on_cpu() -> bool:
    """Whether the backend is one of the slow ones and has no other devices than CPUs."""
    if keras.backend.backend() not in _SLOW_ON_CPUS:
        return False
    return all(device.lower().startswith("cpu") for device in keras.distribution.list_devices())
