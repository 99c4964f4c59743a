"""The mathematics of keras_gn as functions of tensors, on any Keras backend."""

from keras_gn.ops.group_normalize import group_normalize
from keras_gn.ops.standardize_weight import standardize_weight

__all__ = ["group_normalize", "standardize_weight"]
