"""The mathematics of keras_gn as functions of tensors, on any Keras backend."""

from keras_gn.ops import native
from keras_gn.ops.convolve_clip import convolve_clip
from keras_gn.ops.group_normalize import group_normalize
from keras_gn.ops.kernel_choice import kernel, set_kernel
from keras_gn.ops.standardize_weight import standardize_weight

__all__ = ["convolve_clip", "group_normalize", "kernel", "native", "set_kernel", "standardize_weight"]
