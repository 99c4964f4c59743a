"""Decoding and the evaluation preprocessing, against Pillow and NumPy, eagerly and inside `Dataset.map`."""

import io
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from zoo.data import CATALOG, image_ops, preprocess

IMAGENET = replace(CATALOG["imagenet2012"], image_size=28)  # the shorter side becomes 32


def encoded(image: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        *[(mode, "PNG") for mode in ("L", "LA", "RGB", "RGBA", "1")],
        *[(mode, "BMP") for mode in ("L", "RGB", "RGBA")],
        ("RGB", "GIF"),
        ("L", "GIF"),
    ],
)
def test_lossless_forms_decode_as_pillow_does(make_image, mode, form):
    content = encoded(make_image(0, mode=mode), form)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    if mode == "RGBA":
        expected = np.asarray(Image.open(io.BytesIO(content)))[..., :3]  # Alpha is dropped, not applied.
    np.testing.assert_array_equal(image_ops.decode(tf.constant(content)), expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_decodes_as_pillow_does(make_image, mode):
    content = encoded(make_image(1, mode=mode), "JPEG")
    image = image_ops.decode(tf.constant(content)).numpy()
    assert image.shape == (12, 16, 3)
    # Two inverse transforms, and two ways from CMYK to RGB.
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    assert np.abs(image - expected).mean() < 3


@pytest.mark.parametrize("content", [b"", b"some text", b"BM", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff"])
def test_what_is_no_image_is_an_error(content):
    with pytest.raises(tf.errors.InvalidArgumentError):
        image_ops.decode(tf.constant(content))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF"])
def test_truncated_image_is_an_error(make_image, form):
    content = encoded(make_image(2, height=60, width=60), form)
    with pytest.raises(tf.errors.InvalidArgumentError):
        image_ops.decode(tf.constant(content[: len(content) // 2]))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_match_channels(channels, known):
    image = np.random.default_rng(0).integers(0, 256, [2, 5, 4, channels], dtype="uint8")
    signature = [tf.TensorSpec([None, None, None, channels if known else None], tf.uint8)]
    color = image[..., :1].repeat(3, axis=-1) if channels < 3 else image[..., :3]
    gray = color @ np.array([0.2989, 0.5870, 0.1140])[:, None]
    for wanted, expected in ((3, color), (1, image[..., :1] if channels < 3 else gray)):
        matched = tf.function(lambda x, n=wanted: image_ops.match_channels(x, n), input_signature=signature)
        assert matched(image).dtype == tf.uint8
        np.testing.assert_allclose(matched(image), expected, atol=1)


def pillow_preprocess(image: np.ndarray, spec) -> np.ndarray:
    """Each channel resized by Pillow in float32, bilinear with antialiasing, then cropped and standardized."""
    height, width = image.shape[:2]
    short = round(spec.image_size * spec.resize_ratio)
    size = (max(short, short * width // height), max(short, short * height // width))
    bands = [Image.fromarray(image[..., band].astype("float32")) for band in range(image.shape[-1])]
    resized = np.stack([np.asarray(band.resize(size, Image.Resampling.BILINEAR)) for band in bands], axis=-1)
    top, left = (resized.shape[0] - spec.image_size) // 2, (resized.shape[1] - spec.image_size) // 2
    cropped = resized[top : top + spec.image_size, left : left + spec.image_size]
    return (cropped / 255 - np.array(spec.mean)) / np.array(spec.std)


@pytest.mark.parametrize(
    "shape", [(32, 32), (40, 60), (333, 100), (9, 500), (8, 8), (1, 1), (31, 33), (45, 32), (32, 47)]
)
@pytest.mark.parametrize("spec", [IMAGENET, CATALOG["cifar10"]], ids=["imagenet", "cifar10"])
def test_preprocess_is_pillows(shape, spec):
    image = np.random.default_rng(0).integers(0, 256, [*shape, 3], dtype="uint8")
    np.testing.assert_allclose(preprocess(image, spec), pillow_preprocess(image, spec), atol=2e-3)


@pytest.mark.parametrize("shape", [(8, 8), (40, 60), (28, 28)])
@pytest.mark.parametrize("name", sorted(CATALOG))
def test_preprocess_batched_is_single(name, shape):
    spec = CATALOG[name]
    images = np.random.default_rng(0).integers(0, 256, [4, *shape, spec.channels], dtype="uint8")
    batch = preprocess(images, spec)
    assert batch.dtype == tf.float32
    assert batch.shape == (4, spec.image_size, spec.image_size, spec.channels)
    single = np.stack([preprocess(image, spec) for image in images])
    np.testing.assert_allclose(batch, single, atol=1e-6)
    nested = preprocess(images.reshape(2, 2, *shape, spec.channels), spec)
    np.testing.assert_allclose(tf.reshape(nested, batch.shape), batch, atol=1e-6)


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_preprocess_inside_map_and_with_unknown_shapes(name):
    spec = CATALOG[name]
    images = np.random.default_rng(0).integers(0, 256, [3, 20, 30, 3], dtype="uint8")
    expected = np.stack([preprocess(image, spec) for image in images])
    dataset = tf.data.Dataset.from_tensor_slices(images)
    mapped = np.stack(list(dataset.map(lambda image: preprocess(image, spec)).as_numpy_iterator()))
    np.testing.assert_allclose(mapped, expected, atol=1e-5)
    unknown = tf.function(
        lambda image: preprocess(image, spec), input_signature=[tf.TensorSpec([None, None, None, None], tf.uint8)]
    )
    np.testing.assert_allclose(unknown(images), expected, atol=1e-5)
    assert unknown(images[:0]).shape == (0, spec.image_size, spec.image_size, spec.channels)


def test_image_of_the_right_size_is_only_standardized():
    spec = CATALOG["cifar10"]
    image = np.random.default_rng(0).integers(0, 256, [32, 32, 3], dtype="uint8")
    expected = (image / 255 - np.array(spec.mean)) / np.array(spec.std)
    np.testing.assert_allclose(preprocess(image, spec), expected, atol=1e-6)
    unknown = tf.function(lambda x: preprocess(x, spec), input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
    np.testing.assert_allclose(unknown(image), expected, atol=1e-5)
