"""Augmentations: pure functions of (images, draws), where draws are uniform random numbers in [0, 1).

Every record gets one row of draws an epoch, from the seed and the epoch alone (see `zoo.data.pipeline`), so what
happens to an image depends neither on the batch size nor on what ran before.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from zoo.data.catalog import DatasetSpec
from zoo.data.image_ops import fit


def shift(images: tf.Tensor, draws: tf.Tensor, *, limit: int) -> tf.Tensor:
    """Moves each image by up to `limit` pixels each way, filling with black; flips it if there is a third draw.

    dy = floor(draws[0] * (2 * limit + 1)) - limit, dx likewise from draws[1]; flipped left-right first where
    draws[2] < 0.5. The same as padding by `limit` on all sides and cropping at random.

    Args:
        images: [B, H, W, C].
        draws: float32 [B, 2], or [B, 3] to flip as well, in [0, 1).
        limit: largest shift, in pixels.

    Returns:
        [B, H, W, C], the dtype of `images`.

    >>> image = tf.reshape(tf.range(4), [1, 1, 4, 1])
    >>> shift(image, tf.constant([[0.5, 0.99]]), limit=1)[0, 0, :, 0].numpy()
    array([1, 2, 3, 0], dtype=int32)
    """
    height, width = images.shape[1], images.shape[2]
    padded = tf.pad(images, [[0, 0], [limit, limit], [limit, limit], [0, 0]])
    offsets = tf.cast(draws[:, :2] * (2 * limit + 1), tf.int32)
    columns = tf.tile(tf.range(width)[tf.newaxis], [tf.shape(images)[0], 1])
    columns += offsets[:, 1:]
    if draws.shape[1] == 3:
        columns = tf.where(draws[:, 2:] < 0.5, width + 2 * limit - 1 - columns, columns)
    rows = tf.gather(padded, tf.range(height) + offsets[:, :1], axis=1, batch_dims=1)
    return tf.gather(rows, columns, axis=2, batch_dims=1)


def random_resized_crop(image: tf.Tensor, draws: tf.Tensor, *, size: int) -> tf.Tensor:
    """Resizes a random part of the image, 8 % to 100 % of its area and 3/4 to 4/3 wide, to `size` x `size`.

    The area is uniform, the logarithm of the width over height too, and so is the place; a part larger than the image
    becomes the largest of its form that fits. Bilinear, antialiased. Source: Szegedy et al., arXiv 1409.4842,
    section 6.

    Args:
        image: [H, W, C], one image.
        draws: float32 [4], in [0, 1): area, form, top, left.
        size: side of the result, in pixels.

    Returns:
        float32 [size, size, C].

    >>> random_resized_crop(tf.zeros([40, 60, 3]), tf.constant([0.5, 0.5, 0.5, 0.5]), size=32).shape
    TensorShape([32, 32, 3])
    """
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    area = (0.08 + 0.92 * draws[0]) * sides[0] * sides[1]
    form = tf.exp((2 * draws[1] - 1) * tf.math.log(4 / 3))
    wanted = tf.sqrt(area * tf.stack([1 / form, form]))
    wanted *= tf.minimum(1.0, tf.reduce_min(sides / wanted))
    crop = tf.maximum(1, tf.cast(tf.round(wanted), tf.int32))
    corner = tf.cast(draws[2:4] * tf.cast(tf.shape(image)[:2] - crop + 1, tf.float32), tf.int32)
    part = tf.slice(image, tf.concat([corner, [0]], 0), tf.concat([crop, [-1]], 0))
    return tf.ensure_shape(tf.image.resize(part, [size, size], antialias=True), [size, size, image.shape[-1]])


def color_jitter(image: tf.Tensor, draws: tf.Tensor, *, strength: float = 0.4) -> tf.Tensor:
    """Changes brightness, contrast and saturation, in this order, each by a factor in 1 - strength to 1 + strength.

    Each step is factor * image + (1 - factor) * other, clipped to 0 to 255, with `other` black, the mean gray of the
    image, and each pixel's own gray. Source: Howard, arXiv 1312.5402.

    Args:
        image: [H, W, C], values 0 to 255, C 1 or 3.
        draws: float32 [3], in [0, 1).
        strength: how far a factor may be from 1.

    Returns:
        float32 [H, W, C], values 0 to 255.

    >>> color_jitter(tf.fill([1, 1, 1], 100.0), tf.constant([1.0, 0.5, 0.5]))[0, 0].numpy()
    array([140.], dtype=float32)
    """
    brightness, contrast, saturation = tf.unstack(1 + strength * (2 * draws - 1))
    image = tf.clip_by_value(brightness * tf.cast(image, tf.float32), 0.0, 255.0)
    image = tf.clip_by_value(contrast * image + (1 - contrast) * tf.reduce_mean(_gray(image)), 0.0, 255.0)
    return tf.clip_by_value(saturation * image + (1 - saturation) * _gray(image), 0.0, 255.0)


def _gray(image: tf.Tensor) -> tf.Tensor:
    return tf.image.rgb_to_grayscale(image) if image.shape[-1] == 3 else image


def _shift_by(part: int) -> Callable[[tf.Tensor, DatasetSpec, tf.Tensor], tf.Tensor]:
    """`shift` of the fitted image by at most 1 / `part` of its side."""

    def apply(image: tf.Tensor, spec: DatasetSpec, draws: tf.Tensor) -> tf.Tensor:
        fitted, limit = fit(image, spec), spec.image_size // part
        if fitted.shape.rank == 4:
            return shift(fitted, draws, limit=limit)
        return shift(fitted[tf.newaxis], draws[tf.newaxis], limit=limit)[0]

    return apply


def _crop_flip_jitter(image: tf.Tensor, spec: DatasetSpec, draws: tf.Tensor) -> tf.Tensor:
    if image.shape.rank == 4:
        return tf.map_fn(
            lambda pair: _crop_flip_jitter(pair[0], spec, pair[1]),
            (image, draws),
            fn_output_signature=tf.float32,
        )
    cropped = random_resized_crop(image, draws[:4], size=spec.image_size)
    flipped = tf.cond(draws[4] < 0.5, lambda: tf.reverse(cropped, [1]), lambda: cropped)
    return color_jitter(flipped, draws[5:])


@dataclass(frozen=True)
class Augmentation:
    """What training does to images ([H, W, C] or [B, H, W, C]) before they are standardized, and its draws an image."""

    apply: Callable[[tf.Tensor, DatasetSpec, tf.Tensor], tf.Tensor]
    draws: int


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(lambda image, spec, draws: fit(image, spec), draws=0),
    # For small images of one centred thing: half a pixel of the digits' 8, one of Fashion-MNIST's 28.
    "shift": Augmentation(_shift_by(16), draws=2),
    # The four pixels of 32 that He et al. use on CIFAR-10 (arXiv 1512.03385, section 4.2).
    "pad_crop_flip": Augmentation(_shift_by(8), draws=3),
    "random_resized_crop": Augmentation(_crop_flip_jitter, draws=8),
}
