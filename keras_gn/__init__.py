"""Group Normalization for Keras 3."""

from keras_gn import convert, layers, ops
from keras_gn.convert import conversion_report, convert_bn_to_gn, convert_norm

__all__ = ["conversion_report", "convert", "convert_bn_to_gn", "convert_norm", "layers", "ops"]
