"""Pure functions of an example, dict -> dict: a clip, cropped, flipped, resized, standardized.

An example has `clip` [..., T, H, W, C], and whatever else, which stays as it is. All frames of a clip, and all clips
before it, are treated alike.
"""

import tensorflow as tf

from zoo.data.image_ops import standardize as standardize_image
from zoo.data.video_catalog import VideoSpec

Example = dict[str, tf.Tensor]


def crop(example: Example, *, corner: tf.Tensor, size: int) -> Example:
    """Cuts a square of `size` x `size` out of every frame, whose first pixel is `corner`, int32 [2] (top, left).

    >>> example = {"clip": tf.reshape(tf.range(2 * 3 * 4), [2, 3, 4, 1]), "label": 5}
    >>> crop(example, corner=tf.constant([1, 2]), size=2)["clip"][1, ..., 0].numpy().tolist()
    [[18, 19], [22, 23]]
    """
    clip, top, left = example["clip"], corner[0], corner[1]
    part = clip[..., top : top + size, left : left + size, :]
    return {**example, "clip": tf.ensure_shape(part, [*clip.shape[:-3], size, size, clip.shape[-1]])}


def random_crop(example: Example, draws: tf.Tensor, *, size: int) -> Example:
    """`crop` at a place that is uniform by draws float32 [2] in [0, 1): vertical, horizontal.

    >>> random_crop({"clip": tf.zeros([2, 5, 7, 3])}, tf.constant([0.5, 0.99]), size=4)["clip"].shape
    TensorShape([2, 4, 4, 3])
    """
    free = _frame_size(example) - size
    corner = tf.cast(draws * tf.cast(free + 1, tf.float32), tf.int32)
    # 0.99999994 of a large number is that number.
    return crop(example, corner=tf.minimum(corner, free), size=size)


def crop_view(example: Example, number: tf.Tensor, *, of: int, size: int) -> Example:
    """`crop` at one of `of` places that are equally far apart along the longer side, centred on the shorter one.

    Of 3 places, 0 is at the left or at the top, 1 in the middle and 2 at the right or at the bottom; a single one is in
    the middle. Of a square, the longer side is the width.

    Args:
        example: see above.
        number: int32, of the place, from 0.
        of: how many places there are.
        size: of the square, in pixels.

    >>> example = {"clip": tf.reshape(tf.range(5), [1, 1, 5, 1])}
    >>> [int(crop_view(example, number, of=3, size=1)["clip"][0, 0, 0, 0]) for number in range(3)]
    [0, 2, 4]
    """
    frame = _frame_size(example)
    free = frame - size
    is_longer = tf.stack([frame[0] > frame[1], frame[0] <= frame[1]])
    number = tf.cast(number, tf.int32)
    along = free * number // (of - 1) if of > 1 else free // 2
    return crop(example, corner=tf.where(is_longer, along, free // 2), size=size)


def flip_at_random(example: Example, draw: tf.Tensor) -> Example:
    """Mirrors the clip left-right where draw < 0.5.

    >>> flip_at_random({"clip": tf.reshape(tf.range(3), [1, 1, 3, 1])}, tf.constant(0.2))["clip"][0, 0, :, 0].numpy()
    array([2, 1, 0], dtype=int32)
    """
    clip = example["clip"]
    return {**example, "clip": tf.cond(draw < 0.5, lambda: tf.reverse(clip, [-2]), lambda: clip)}


def resize(example: Example, *, shorter_side: int) -> Example:
    """Resizes the shorter side, bilinear and antialiased, the longer one in proportion, rounded down.

    As `Video.read` does it, but for rounding; a clip of that size stays as it is. The result is float32.

    >>> resize({"clip": tf.zeros([2, 4, 8, 12, 3], tf.uint8)}, shorter_side=6)["clip"].shape.as_list()
    [2, 4, 6, 9, 3]
    """
    clip = example["clip"]
    frame = _frame_size(example)
    target = tf.maximum(shorter_side, shorter_side * frame // tf.reduce_min(frame))

    def resized() -> tf.Tensor:
        images = tf.reshape(clip, tf.concat([[-1], tf.shape(clip)[-3:]], 0))
        small = tf.image.resize(images, target, antialias=True)
        return tf.reshape(small, tf.concat([tf.shape(clip)[:-3], tf.shape(small)[1:]], 0))

    fitting = tf.cond(tf.reduce_all(frame == target), lambda: tf.cast(clip, tf.float32), resized)
    static = tf.get_static_value(target)
    size = [None, None] if static is None else static.tolist()
    return {**example, "clip": tf.ensure_shape(fitting, [*clip.shape[:-3], *size, clip.shape[-1]])}


def standardize(example: Example, spec: VideoSpec) -> Example:
    """(clip / 255 - mean) / std, per channel, as float32.

    >>> from zoo.data.video_catalog import get_video_spec
    >>> float(standardize({"clip": tf.constant([[[[255]]]], tf.uint8)}, get_video_spec("kinetics"))["clip"][0, 0, 0, 0])
    2.4444...
    """
    return {**example, "clip": standardize_image(example["clip"], spec)}


def preprocess(clips: tf.Tensor, spec: VideoSpec) -> tf.Tensor:
    """What evaluation does to clips, for a server: resizes, cuts out the middle, standardizes.

    Args:
        clips: uint8 (or float, 0 to 255) [..., T, H, W, 3], of any length and size.
        spec: gives the sizes, mean and std.

    Returns:
        float32 [..., T, S, S, 3] with S = spec.test_size.

    >>> from zoo.data.video_catalog import get_video_spec
    >>> preprocess(tf.zeros([1, 2, 60, 80, 3], tf.uint8), get_video_spec("kinetics")).shape
    TensorShape([1, 2, 256, 256, 3])
    """
    example = resize({"clip": tf.convert_to_tensor(clips)}, shorter_side=spec.test_shorter_side)
    return standardize(crop_view(example, 0, of=1, size=spec.test_size), spec)["clip"]


def _frame_size(example: Example) -> tf.Tensor:
    """int32 [2] (height, width)."""
    return tf.shape(example["clip"])[-3:-1]
