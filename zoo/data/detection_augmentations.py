"""What training does to an image and its objects: pure functions of (example, draws), see `zoo.data.detection_ops`."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from zoo.data.detection_catalog import DetectionSpec
from zoo.data.detection_ops import Example, flip, jitter_scale, resize, resized_size


def resize_by_spec(example: Example, spec: DetectionSpec) -> Example:
    """Resizes the image as the spec says; evaluation does nothing else."""
    size = resized_size(
        tf.shape(example["image"])[:2],
        shorter=spec.shorter_side,
        longer=spec.longer_side,
        side=spec.image_size,
        rounded=spec.sizes_rounded,
    )
    return resize(example, size=size, antialias=spec.antialias)


def flip_at_random(example: Example, draw: tf.Tensor) -> Example:
    """`flip` where draw < 0.5."""
    flipped: Example = tf.cond(draw < 0.5, lambda: flip(example), lambda: dict(example))
    return {key: tf.ensure_shape(value, example[key].shape) for key, value in flipped.items()}


@dataclass(frozen=True)
class DetectionAugmentation:
    """What training does to an example before its image is standardized and padded, and its draws an image."""

    apply: Callable[[Example, DetectionSpec, tf.Tensor], Example]
    draws: int


def _resize_and_flip(example: Example, spec: DetectionSpec, draws: tf.Tensor) -> Example:
    return flip_at_random(resize_by_spec(example, spec), draws[0])


def _jitter_and_flip(example: Example, spec: DetectionSpec, draws: tf.Tensor) -> Example:
    jittered = jitter_scale(example, draws[1:], side=spec.image_size, antialias=spec.antialias)
    return flip_at_random(jittered, draws[0])


AUGMENTATIONS: dict[str, DetectionAugmentation] = {
    "none": DetectionAugmentation(lambda example, spec, draws: resize_by_spec(example, spec), draws=0),
    # The papers' (Mask R-CNN, arXiv 1703.06870, section 3.1).
    "flip": DetectionAugmentation(_resize_and_flip, draws=1),
    # For long schedules from scratch (arXiv 2012.07177).
    "large_scale_jitter": DetectionAugmentation(_jitter_and_flip, draws=4),
}
