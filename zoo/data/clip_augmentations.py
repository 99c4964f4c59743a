"""What training does to a clip: pure functions of (example, draws), see `zoo.data.clip_ops`."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from zoo.data.clip_ops import Example, crop_view, flip_at_random, random_crop
from zoo.data.video_catalog import VideoSpec


@dataclass(frozen=True)
class ClipAugmentation:
    """What training does to an example before its clip is standardized, and its draws a clip.

    Attributes:
        shorter_side: what the decoder resizes the shorter side of a video to, in pixels, by a draw in [0, 1).
        apply: what happens to the example then, by `draws` more.
        draws: how many.
    """

    shorter_side: Callable[[VideoSpec, float], int]
    apply: Callable[[Example, VideoSpec, tf.Tensor], Example]
    draws: int


def jittered_side(spec: VideoSpec, draw: float) -> int:
    """A whole number of `spec.shorter_sides`, each as likely.

    >>> from zoo.data.video_catalog import get_video_spec
    >>> [jittered_side(get_video_spec("kinetics"), draw) for draw in (0.0, 0.5, 0.999999)]
    [256, 288, 320]
    """
    least, most = spec.shorter_sides
    return min(most, least + int(draw * (most - least + 1)))


def _random_crop(example: Example, spec: VideoSpec, draws: tf.Tensor) -> Example:
    return random_crop(example, draws[:2], size=spec.image_size)


def _random_crop_flip(example: Example, spec: VideoSpec, draws: tf.Tensor) -> Example:
    return flip_at_random(_random_crop(example, spec, draws), draws[2])


AUGMENTATIONS: dict[str, ClipAugmentation] = {
    # The middle of every frame, at the least size.
    "none": ClipAugmentation(
        lambda spec, draw: spec.shorter_sides[0],
        lambda example, spec, draws: crop_view(example, 0, of=1, size=spec.image_size),
        draws=0,
    ),
    # Where left and right matter.
    "jitter_crop": ClipAugmentation(jittered_side, _random_crop, draws=2),
    # The papers' (VGG's for images; Non-local Neural Networks, arXiv 1711.07971, section 4.1).
    "jitter_crop_flip": ClipAugmentation(jittered_side, _random_crop_flip, draws=3),
}
