"""Group Normalization for Keras 3."""

from keras_gn import layers, ops

__all__ = ["layers", "ops"]
