"""Pure functions of an example, dict -> dict: an image with its objects, resized, cropped, flipped, padded.

An example has (see `zoo.data.detection_schema.EXAMPLE`)

    image [H, W, C];  boxes [n, 4];  classes [n];  crowd [n];  with masks also  masks [n, h, w], mask_windows [n, 4]

Boxes and windows are (ymin, xmin, ymax, xmax) in absolute pixels of the image. A window is the part of the image that
an object's bitmap covers; it may reach beyond the image, so that a crop changes no bitmap.
"""

import tensorflow as tf

Example = dict[str, tf.Tensor]
_OBJECT_KEYS = ("boxes", "classes", "crowd", "masks", "mask_windows")


def resized_size(size: tf.Tensor, *, shorter: int, longer: int, side: int, rounded: bool = True) -> tf.Tensor:
    """The size that an image is resized to: its own times s, with

        s = min(shorter / min(height, width), longer / max(height, width), side / max(height, width))

    Args:
        size: int32 [2] (height, width) in pixels.
        shorter: what the shorter side becomes, in pixels,
        longer: unless the longer side would become longer than this,
        side: or than this.
        rounded: whether to the nearest whole number, as in detectron2; torchvision: down.

    Returns:
        int32 [2] (height, width), at least 1.

    >>> resized_size(tf.constant([480, 640]), shorter=800, longer=1333, side=1344).numpy().tolist()
    [800, 1067]
    >>> resized_size(tf.constant([480, 640]), shorter=800, longer=1333, side=512).numpy().tolist()
    [384, 512]
    """
    sides = tf.cast(size, tf.float32)
    scale = tf.minimum(shorter / tf.reduce_min(sides), min(longer, side) / tf.reduce_max(sides))
    # Down: without a whole number that rounding errors made smaller, such as 799.99994 of 480 / 480 * 800.
    exact = tf.round(sides * scale) if rounded else tf.floor(sides * scale + 1e-3)
    return tf.maximum(1, tf.cast(exact, tf.int32))


def scale_and_crop(
    example: Example, *, scaled: tf.Tensor, corner: tf.Tensor, size: tf.Tensor, antialias: bool = True
) -> Example:
    """Resizes the image to `scaled` and cuts `size` out of it at `corner`, in one step; objects move along.

    A point (y, x) becomes (y sy - top, x sx - left) with sy = scaled height / height, sx = scaled width / width.
    Bilinear between the centres of pixels. Boxes may reach beyond the part that is cut out: see `keep_visible`.

    Args:
        example: see above.
        scaled: int32 [2] (height, width) of the whole image after resizing, in pixels.
        corner: int32 [2] (top, left) of the part, in pixels of the resized image.
        size: int32 [2] (height, width) of the part.
        antialias: whether an image that becomes smaller is averaged over all of its pixels.

    Returns:
        The example, its image float32 [*size, C].

    >>> example = {"image": tf.zeros([8, 8, 3], tf.uint8), "boxes": tf.constant([[2.0, 2, 4, 4]])}
    >>> cut = scale_and_crop(example, scaled=[16, 16], corner=[2, 0], size=[8, 16])
    >>> cut["image"].shape, cut["boxes"].numpy().tolist()
    (TensorShape([8, 16, 3]), [[2.0, 4.0, 6.0, 8.0]])
    """
    image = example["image"]
    scale = tf.cast(scaled, tf.float32) / tf.cast(tf.shape(image)[:2], tf.float32)
    shift = tf.cast(corner, tf.float32)
    part = tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis],
        size=size,
        scale=scale,
        translation=-shift,
        kernel_type="triangle",
        antialias=antialias,
    )
    moved = {key: example[key] * tf.tile(scale, [2]) - tf.tile(shift, [2]) for key in _coordinates(example)}
    return {**example, **moved, "image": tf.ensure_shape(part[0], [None, None, image.shape[-1]])}


def _coordinates(example: Example) -> list[str]:
    return [key for key in ("boxes", "mask_windows") if key in example]


def resize(example: Example, *, size: tf.Tensor, antialias: bool = True) -> Example:
    """Resizes the whole image to `size`, int32 [2] (height, width); see `resized_size`, `scale_and_crop`."""
    return scale_and_crop(example, scaled=size, corner=tf.zeros([2], tf.int32), size=size, antialias=antialias)


def jitter_scale(
    example: Example,
    draws: tf.Tensor,
    *,
    side: int,
    smallest: float = 0.1,
    largest: float = 2.0,
    antialias: bool = True,
) -> Example:
    """Large-scale jitter: resizes at random and cuts at random what doesn't fit into a square.

    The longer side of the image becomes s * side with s = smallest + draws[0] (largest - smallest); of each direction
    that is longer than `side` then, a part of that length is cut out, its place uniform by draws[1] and draws[2].

    Args:
        example: see above.
        draws: float32 [3] in [0, 1).
        side: of the square, in pixels.
        smallest: scale.
        largest: scale.
        antialias: see `scale_and_crop`.

    Returns:
        The example, its image at most [side, side, C]; objects that were cut away are gone.

    Source: Ghiasi et al., "Simple Copy-Paste", arXiv 2012.07177, section 3 ("large scale jittering", 0.1 to 2.0).
    """
    sides = tf.cast(tf.shape(example["image"])[:2], tf.float32)
    scale = (smallest + draws[0] * (largest - smallest)) * side / tf.reduce_max(sides)
    scaled = tf.maximum(1, tf.cast(tf.round(sides * scale), tf.int32))
    size = tf.minimum(scaled, side)
    corner = tf.cast(draws[1:3] * tf.cast(scaled - size + 1, tf.float32), tf.int32)
    return keep_visible(scale_and_crop(example, scaled=scaled, corner=corner, size=size, antialias=antialias))


def flip(example: Example) -> Example:
    """Mirrors the image left to right, with boxes, windows and bitmaps. Twice gives back the example.

    >>> example = {"image": tf.zeros([8, 10, 3]), "boxes": tf.constant([[0.0, 1, 4, 4]])}
    >>> flip(example)["boxes"].numpy().tolist()
    [[0.0, 6.0, 4.0, 9.0]]
    """
    width = tf.cast(tf.shape(example["image"])[1], tf.float32)
    flipped = {"image": tf.reverse(example["image"], [1])}
    for key in _coordinates(example):
        ymin, xmin, ymax, xmax = tf.unstack(example[key], axis=-1)
        flipped[key] = tf.stack([ymin, width - xmax, ymax, width - xmin], axis=-1)
    if "masks" in example:
        flipped["masks"] = tf.reverse(example["masks"], [2])
    return {**example, **flipped}


def keep_visible(example: Example) -> Example:
    """Cuts boxes to the image and leaves out objects of which nothing is left.

    Of an object with a bitmap, a box that is cut shrinks to what shows of the bitmap, to a cell; where nothing shows,
    the object is gone.

    >>> example = {"image": tf.zeros([8, 8, 3]), "boxes": tf.constant([[-4.0, 0, 4, 4], [0, 9, 4, 12]])}
    >>> keep_visible(example)["boxes"].numpy().tolist()
    [[0.0, 0.0, 4.0, 4.0]]
    """
    size = tf.cast(tf.shape(example["image"])[:2], tf.float32)
    limits = tf.tile(size, [2])
    boxes = tf.clip_by_value(example["boxes"], 0.0, limits)
    if "masks" in example:
        is_cut = tf.reduce_any(boxes != example["boxes"], axis=1)
        shrinks = is_cut & ~example["crowd"]
        shown = tf.clip_by_value(_extent(example["masks"], example["mask_windows"], size), 0.0, limits)
        boxes = tf.where(shrinks[:, tf.newaxis], shown, boxes)
    is_left = tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=1)
    kept = {key: tf.boolean_mask(example[key], is_left) for key in _OBJECT_KEYS if key in example}
    return {**example, **kept, "boxes": tf.boolean_mask(boxes, is_left)}


def _extent(masks: tf.Tensor, windows: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """The box [n, 4] around the cells of each bitmap that are 1 and reach into the image; empty where there is none."""
    count = tf.cast(tf.shape(masks)[1:3], tf.float32)
    cell = (windows[:, 2:] - windows[:, :2]) / count
    starts = [windows[:, axis, None] + cell[:, axis, None] * tf.range(count[axis]) for axis in (0, 1)]  # [n, cells]
    in_image = [(start < size[axis]) & (start + cell[:, axis, None] > 0) for axis, start in enumerate(starts)]
    shows = (masks > 0) & in_image[0][:, :, None] & in_image[1][:, None, :]
    least, greatest = [], []
    for axis, start in enumerate(starts):
        occupied = tf.reduce_any(shows, axis=2 - axis)
        least.append(tf.reduce_min(tf.where(occupied, start, tf.float32.max), axis=1))
        greatest.append(tf.reduce_max(tf.where(occupied, start + cell[:, axis, None], tf.float32.min), axis=1))
    return tf.stack([*least, *greatest], axis=1)


def pad(example: Example, *, side: int, objects: int) -> Example:
    """Pads the image at the bottom and on the right with zeros, and the objects with empty rows.

    Args:
        example: see above; the image at most [side, side, C].
        side: of the square, in pixels.
        objects: rows. Of more objects the first ones are kept.

    Returns:
        The example with static shapes, classes -1 in empty rows, and image_size, int32 [2] (height, width) of the image
        without the padding.

    >>> example = {"image": tf.ones([2, 3, 1]), "boxes": tf.ones([1, 4]), "classes": tf.constant([5])}
    >>> padded = pad(example, side=4, objects=2)
    >>> padded["image"].shape, padded["classes"].numpy(), padded["image_size"].numpy()
    (TensorShape([4, 4, 1]), array([ 5, -1], dtype=int32), array([2, 3], dtype=int32))
    """
    size = tf.shape(example["image"])[:2]
    image = tf.pad(example["image"], [[0, side - size[0]], [0, side - size[1]], [0, 0]])
    padded = {"image": tf.ensure_shape(image, [side, side, example["image"].shape[-1]]), "image_size": size}
    for key in (key for key in _OBJECT_KEYS if key in example):
        rows = example[key][:objects]
        missing = [[0, objects - tf.shape(rows)[0]]] + [[0, 0]] * (rows.shape.rank - 1)
        filled = tf.pad(rows, missing, constant_values=tf.cast(-1 if key == "classes" else 0, rows.dtype))
        padded[key] = tf.ensure_shape(filled, [objects, *rows.shape[1:]])
    return {**example, **padded}


def to_original(boxes: tf.Tensor, *, scale: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Boxes found in resized images, in pixels of the original ones and cut to them; the inverse of `resize`.

    Args:
        boxes: [B, N, 4] (ymin, xmin, ymax, xmax), absolute pixels of the resized image.
        scale: [B, 2] (sy, sx): resized over original size.
        size: [B, 2] (height, width) of the original image in pixels.

    Returns:
        float32 [B, N, 4], absolute pixels of the original image.

    >>> to_original(tf.constant([[[2.0, 4, 8, 9]]]), scale=[[2.0, 0.5]], size=[[4, 16]]).numpy().tolist()
    [[[1.0, 8.0, 4.0, 16.0]]]
    """
    divisor, limit = tf.tile(tf.cast(scale, tf.float32), [1, 2]), tf.tile(tf.cast(size, tf.float32), [1, 2])
    original = tf.cast(boxes, tf.float32) / divisor[:, tf.newaxis]
    return tf.clip_by_value(original, 0.0, limit[:, tf.newaxis])
