"""Augmentations against slow NumPy; pure functions of image and draws, eagerly and inside `Dataset.map`."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from zoo.data import CATALOG
from zoo.data.augmentations import AUGMENTATIONS, color_jitter, random_resized_crop, shift


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("flips", [True, False])
def test_shift_is_pad_flip_crop(random, limit, flips):
    images = random.integers(0, 256, [200, 6, 9, 3], dtype="uint8")
    draws = random.random([200, 2 + flips], dtype="float32")
    result = shift(images, draws, limit=limit).numpy()
    assert result.dtype == np.uint8
    for image, draw, shifted in zip(images, draws, result, strict=True):
        padded = np.pad(image, [(limit, limit), (limit, limit), (0, 0)])
        if flips and draw[2] < 0.5:
            padded = padded[:, ::-1]
        top, left = (int(value * (2 * limit + 1)) for value in draw[:2])
        np.testing.assert_array_equal(shifted, padded[top : top + 6, left : left + 9])


def test_shift_reaches_every_place_equally(random):
    draws = random.random([9000, 3], dtype="float32")
    image = np.zeros([9000, 3, 3, 1], "uint8")
    image[:, 1, 1] = 1
    places = shift(image, draws, limit=1).numpy().astype(int).sum(0)[..., 0]
    assert (abs(places - 1000) < 150).all()


def crop_of(height: int, width: int, draws: np.ndarray) -> tuple[int, int, int, int]:
    area = (0.08 + 0.92 * draws[0]) * height * width
    form = np.exp((2 * draws[1] - 1) * np.log(4 / 3))
    tall, wide = np.sqrt(area / form), np.sqrt(area * form)
    fitting = min(1, height / tall, width / wide)
    tall, wide = max(1, round(tall * fitting)), max(1, round(wide * fitting))
    return int(draws[2] * (height - tall + 1)), int(draws[3] * (width - wide + 1)), tall, wide


@pytest.mark.parametrize("shape", [(50, 70), (70, 50), (200, 20), (3, 3), (1, 40)])
def test_random_resized_crop_is_pillows(random, shape):
    image = random.integers(0, 256, [*shape, 3], dtype="uint8")
    for draws in random.random([20, 4], dtype="float32"):
        top, left, tall, wide = crop_of(*shape, draws.astype("float64"))
        part = image[top : top + tall, left : left + wide]
        bands = [Image.fromarray(part[..., band].astype("float32")) for band in range(3)]
        expected = np.stack([np.asarray(band.resize((16, 16), Image.Resampling.BILINEAR)) for band in bands], -1)
        np.testing.assert_allclose(random_resized_crop(image, draws, size=16), expected, atol=0.02)


@pytest.mark.parametrize("area", [0.0, 0.999999])
@pytest.mark.parametrize("form", [0.0, 0.999999])
def test_random_resized_crop_at_the_ends(area, form):
    for corner in (0.0, 0.999999):
        draws = np.array([area, form, corner, corner], "float32")
        result = random_resized_crop(np.full([30, 40, 3], 7, "uint8"), draws, size=10)
        np.testing.assert_allclose(result, 7, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_color_jitter(random, channels):
    weights = np.array([0.2989, 0.5870, 0.1140])[:, None] if channels == 3 else np.ones([1, 1])
    image = random.integers(0, 256, [5, 4, channels]).astype("float64")
    for draws in random.random([20, 3], dtype="float32"):
        brightness, contrast, saturation = 0.6 + 0.8 * draws.astype("float64")
        expected = np.clip(brightness * image, 0, 255)
        expected = np.clip(contrast * expected + (1 - contrast) * (expected @ weights).mean(), 0, 255)
        expected = np.clip(saturation * expected + (1 - saturation) * (expected @ weights), 0, 255)
        np.testing.assert_allclose(color_jitter(image.astype("float32"), draws), expected, atol=0.1)


def test_color_jitter_in_the_middle_changes_nothing(random):
    image = random.integers(0, 256, [5, 4, 3]).astype("float32")
    np.testing.assert_allclose(color_jitter(image, np.full(3, 0.5, "float32")), image, atol=1e-3)


@pytest.mark.parametrize(("name", "part"), [("shift", 16), ("pad_crop_flip", 8)])
@pytest.mark.parametrize("size", [15, 16, 28, 32, 70])
def test_shifts_reach_a_share_of_the_image_and_no_further(name, part, size):
    spec, augmentation = replace(CATALOG["digits"], image_size=size), AUGMENTATIONS[name]
    dot = np.zeros([size, size, 1], "uint8")
    dot[size // 2, size // 3] = 255
    ends = np.linspace(0, 1 - 1e-6, 41, dtype="float32")
    moves = np.stack(np.meshgrid(ends, ends), axis=-1).reshape(-1, 2)
    draws = np.full([len(moves), augmentation.draws], 0.9, "float32")  # A third draw of 0.9: not flipped.
    draws[:, :2] = moves
    moved = augmentation.apply(tf.repeat(dot[np.newaxis], len(moves), axis=0), spec, tf.constant(draws)).numpy()
    _, rows, columns, _ = np.nonzero(moved)
    limit = size // part
    assert set(rows - size // 2) == set(columns - size // 3) == set(range(-limit, limit + 1))


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
@pytest.mark.parametrize("data", ["digits", "cifar10"])
def test_batch_is_image_by_image_eagerly_and_in_map(random, name, data):
    spec, augmentation = CATALOG[data], AUGMENTATIONS[name]
    side = 8 if data == "digits" else 32
    images = random.integers(0, 256, [5, side, side, spec.channels], dtype="uint8")
    draws = random.random([5, augmentation.draws], dtype="float32")

    def apply(image, draw):
        return tf.cast(augmentation.apply(image, spec, draw), tf.float32)

    batch = apply(tf.constant(images), tf.constant(draws))
    assert batch.shape == (5, spec.image_size, spec.image_size, spec.channels)
    single = np.stack([apply(tf.constant(image), tf.constant(draw)) for image, draw in zip(images, draws, strict=True)])
    mapped = tf.data.Dataset.from_tensor_slices((images, draws)).map(apply)
    in_batches = tf.data.Dataset.from_tensors((images, draws)).map(apply)
    np.testing.assert_allclose(single, batch, atol=1e-3)
    np.testing.assert_allclose(np.stack(list(mapped.as_numpy_iterator())), batch, atol=1e-3)
    np.testing.assert_allclose(next(in_batches.as_numpy_iterator()), batch, atol=1e-3)


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - {"none"}))
def test_every_draw_matters(random, name):
    spec, augmentation = CATALOG["cifar10"], AUGMENTATIONS[name]
    image = tf.constant(random.integers(0, 256, [32, 32, 3], dtype="uint8"))
    base = np.full(augmentation.draws, 0.3, "float32")
    expected = tf.cast(augmentation.apply(image, spec, tf.constant(base)), tf.float32)
    for index in range(augmentation.draws):
        draws = base.copy()
        draws[index] = 0.8
        changed = tf.cast(augmentation.apply(image, spec, tf.constant(draws)), tf.float32)
        assert np.abs(changed - expected).max() > 1, f"draw {index}"
