"""Pure image functions in TensorFlow: the same numbers eagerly, in `Dataset.map` and in a SavedModel."""

import tensorflow as tf

from zoo.data.catalog import DatasetSpec


def decode(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, PNG, BMP or GIF (its first frame) to uint8 [H, W, 3]; alpha is dropped.

    Args:
        contents: the bytes of an image file, a string scalar.

    Raises:
        tf.errors.InvalidArgumentError: `contents` is no whole image of a known format.

    >>> decode(tf.io.encode_png(tf.zeros([5, 7, 4], tf.uint8))).shape
    TensorShape([5, 7, 3])
    """
    # TensorFlow converts to three channels while it decodes, except for BMP, which it takes only as it is.
    is_bmp = tf.strings.substr(contents, 0, 2) == b"BM"
    image = tf.cond(
        is_bmp,
        lambda: match_channels(_decode(contents, channels=0), 3),
        lambda: _decode(contents, channels=3),
    )
    return tf.ensure_shape(image, [None, None, 3])


def _decode(contents: tf.Tensor, *, channels: int) -> tf.Tensor:
    image = tf.io.decode_image(contents, channels=channels, expand_animations=False)
    return tf.ensure_shape(image, [None, None, channels or None])


def match_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    """Makes [..., H, W, C] have `channels`, 1 or 3; C is 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha).

    Alpha is dropped, gray is repeated, and RGB becomes gray as 0.2989 R + 0.5870 G + 0.1140 B.

    >>> match_channels(tf.ones([2, 2, 4], tf.uint8), 3).shape, match_channels(tf.ones([2, 2, 3]), 1).shape
    (TensorShape([2, 2, 3]), TensorShape([2, 2, 1]))
    """
    if image.shape[-1] == channels:
        return image
    if image.shape[-1] is None:
        return tf.cond(
            tf.shape(image)[-1] < 3,
            lambda: match_channels(_first_channels(image, 1), channels),
            lambda: match_channels(_first_channels(image, 3), channels),
        )
    color = image[..., : 1 if image.shape[-1] < 3 else 3]
    if color.shape[-1] == channels:
        return color
    return tf.image.grayscale_to_rgb(color) if channels == 3 else tf.image.rgb_to_grayscale(color)


def _first_channels(image: tf.Tensor, count: int) -> tf.Tensor:
    return tf.ensure_shape(image[..., :count], [*image.shape[:-1], count])


def fit(image: tf.Tensor, spec: DatasetSpec) -> tf.Tensor:
    """Resizes the shorter side to round(S * resize_ratio), keeping the shape of things, and takes the centre S x S.

    The resizing is bilinear and, when it makes the image smaller, antialiased. With n = round(S * resize_ratio) an
    image of H x W becomes max(n, floor(n * H / W)) x max(n, floor(n * W / H)).

    Args:
        image: [..., H, W, C], values 0 to 255.
        spec: S is its `image_size`.

    Returns:
        [..., S, S, C]; the dtype is kept where no resizing is needed, else float32.

    >>> from zoo.data.catalog import get_spec
    >>> fit(tf.zeros([2, 50, 70, 3], tf.uint8), get_spec("cifar10")).shape
    TensorShape([2, 32, 32, 3])
    """
    size, short = spec.image_size, round(spec.image_size * spec.resize_ratio)
    if image.shape[-3:-1].as_list() != [short, short]:
        batch = tf.shape(image)[:-3]
        height, width = tf.shape(image)[-3], tf.shape(image)[-2]
        target = [tf.maximum(short, short * height // width), tf.maximum(short, short * width // height)]
        flat = image if image.shape.rank in (3, 4) else tf.reshape(image, tf.concat([[-1], tf.shape(image)[-3:]], 0))
        resized = tf.image.resize(flat, target, antialias=True)
        image = resized if flat is image else tf.reshape(resized, tf.concat([batch, tf.shape(resized)[-3:]], 0))
    top, left = (tf.shape(image)[-3] - size) // 2, (tf.shape(image)[-2] - size) // 2
    cropped = image[..., top : top + size, left : left + size, :]
    return tf.ensure_shape(cropped, [*image.shape[:-3], size, size, image.shape[-1]])


def standardize(image: tf.Tensor, spec: DatasetSpec) -> tf.Tensor:
    """(image / 255 - mean) / std, per channel, as float32.

    >>> from zoo.data.catalog import get_spec
    >>> float(standardize(tf.constant([[[255]]], tf.uint8), get_spec("fashion_mnist"))[0, 0, 0])  # 0.714 / 0.353
    2.0226628...
    """
    scale = tf.constant([1 / (255 * std) for std in spec.std], tf.float32)
    offset = tf.constant([mean / std for mean, std in zip(spec.mean, spec.std, strict=True)], tf.float32)
    return tf.cast(image, tf.float32) * scale - offset


def preprocess(image: tf.Tensor, spec: DatasetSpec) -> tf.Tensor:
    """The evaluation preprocessing: `match_channels`, `fit`, `standardize`.

    Args:
        image: uint8 (or float, 0 to 255) [..., H, W, C]; any sizes, C of 1 to 4.
        spec: gives image size S, channels, mean and std.

    Returns:
        float32 [..., S, S, spec.channels], standardized.

    >>> from zoo.data.catalog import get_spec
    >>> preprocess(tf.zeros([40, 60, 4], tf.uint8), get_spec("imagenet2012")).shape
    TensorShape([224, 224, 3])
    """
    image = tf.convert_to_tensor(image)
    return standardize(fit(match_channels(image, spec.channels), spec), spec)
