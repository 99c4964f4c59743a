"""Keras layers; each forwards to a function of keras_gn.ops."""

from keras_gn.layers.channel_affine import ChannelAffine
from keras_gn.layers.conv3d import Conv3D
from keras_gn.layers.group_normalization import GroupNormalization
from keras_gn.layers.instance_normalization import InstanceNormalization
from keras_gn.layers.standardized_conv2d import StandardizedConv2D
from keras_gn.layers.standardized_conv3d import StandardizedConv3D

__all__ = [
    "ChannelAffine",
    "Conv3D",
    "GroupNormalization",
    "InstanceNormalization",
    "StandardizedConv2D",
    "StandardizedConv3D",
]
