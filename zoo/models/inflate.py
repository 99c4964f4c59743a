"""Inflation: weights of a model for images become those of one for videos (Carreira and Zisserman, arXiv 1705.07750).

    zoo.build("i3d_resnet50", norm="gn", num_classes=400, weights="resnet50-gn.keras")

A kernel for one frame becomes one for T frames: 1 / T of it at each. All else is copied, but for the logits, which stay
fresh: videos have other classes. Of a video that repeats a frame, each frame's features are those of the frame, away
from the first and the last ones, near which kernels see the zeros of the padding. The statistics of group norms see
those zeros too, which changes all frames a bit, the less the longer the clip: benchmarks/inflation_borders.py.
"""

from collections.abc import Mapping

import keras
import numpy as np

from keras_gn.layers import StandardizedConv3D
from zoo.errors import UserError
from zoo.models.saved_layers import SavedLayer

# What becomes of a convolution of images. The kernel is its first variable.
_KINDS = {"conv2d": "conv3d", "standardizedconv2d": "standardizedconv3d"}
_KERNEL = "0"


def is_for_images(saved: Mapping[str, SavedLayer], layers: Mapping[str, keras.Layer]) -> bool:
    """Whether `saved` are of a model for images, and `layers` of one for videos."""
    takes_clips = any(isinstance(layer, keras.layers.Conv3D) for layer in layers.values())
    return takes_clips and any(layer.kind in _KINDS for layer in saved.values())


def inflate(saved: Mapping[str, SavedLayer], layers: Mapping[str, keras.Layer]) -> dict[str, SavedLayer]:
    """The layers of a model for images as a model for videos takes them; those that don't fit it stay as they are.

    Args:
        saved: Of the model for images.
        layers: Of the model for videos, by the same names.

    Raises:
        UserError: If standardized convolutions aren't followed by group norms.
    """
    _refuse_loud_kernels(layers)
    return {name: _inflated(layer, layers.get(name)) for name, layer in saved.items()}


def inflate_kernel(kernel: np.ndarray, frames: int) -> np.ndarray:
    """[H, W, in, out] as [frames, H, W, in, out], with the same response to `frames` equal images.

    >>> inflate_kernel(np.ones((1, 1, 1, 1)), 4).ravel().tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return np.repeat(kernel[None] / frames, frames, axis=0)


def _inflated(saved: SavedLayer, layer: keras.Layer | None) -> SavedLayer:
    if not isinstance(layer, keras.layers.Conv3D) or saved.kind not in _KINDS:
        return saved
    arrays = saved.arrays()
    if arrays[_KERNEL].shape == tuple(layer.kernel.shape[1:]):
        arrays[_KERNEL] = inflate_kernel(arrays[_KERNEL], layer.kernel_size[0])
    return SavedLayer(_KINDS[saved.kind], arrays)


def _refuse_loud_kernels(layers: Mapping[str, keras.Layer]) -> None:
    """A standardized kernel has variance 1 over all frames, so equal frames get T times the response of one.

    Norms with statistics of their own take that out.
    """
    loud = [
        name for name, layer in layers.items() if isinstance(layer, StandardizedConv3D) and layer.kernel_size[0] > 1
    ]
    fixed = [name for name, layer in layers.items() if isinstance(layer, keras.layers.BatchNormalization)]
    if loud and (fixed or layers[loud[0]].use_bias):
        raise UserError(
            "`norm` must be one of gn, ln and in, with +ws, where a model for videos takes the weights of one for "
            f"images: '{loud[0]}' and {len(loud) - 1} more standardize kernels of several frames, whose response to "
            "equal frames is that many times as large, and no other norm takes that out. Build both models so, or "
            "without +ws."
        )
