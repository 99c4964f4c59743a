"""Clip functions: the same eagerly and in a data set, all frames alike."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from zoo.data import VIDEO_CATALOG
from zoo.data.clip_augmentations import AUGMENTATIONS, jittered_side
from zoo.data.clip_ops import crop_view, flip_at_random, preprocess, random_crop, resize, standardize

SPEC = replace(VIDEO_CATALOG["kinetics"], image_size=8, shorter_sides=(10, 12), test_shorter_side=10, test_size=8)


def coordinates(height: int, width: int, frames: int = 3) -> tf.Tensor:
    """A clip whose pixels are (row, column, frame)."""
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return tf.constant(
        np.stack([np.stack([rows, columns, np.full_like(rows, t)], -1) for t in range(frames)]).astype("uint8")
    )


def corner(clip: tf.Tensor) -> tuple[int, int]:
    assert (np.diff(clip[..., 0], axis=1) == 1).all()
    assert (np.diff(clip[..., 1], axis=2) == 1).all()
    assert (clip[:, 0, 0, 2].numpy() == np.arange(len(clip))).all()
    return tuple(clip[0, 0, 0, :2].numpy().tolist())


def test_random_crops_lie_anywhere_in_the_frame_and_alike_in_all_frames():
    corners = set()
    for draws in np.random.default_rng(0).random((300, 2), np.float32):
        example = random_crop({"clip": coordinates(10, 13), "label": 4}, tf.constant(draws), size=8)
        assert example["label"] == 4
        assert example["clip"].shape == (3, 8, 8, 3)
        corners.add(corner(example["clip"]))
    assert corners == {(top, left) for top in range(3) for left in range(6)}
    last = np.nextafter(np.float32(1), np.float32(0))
    assert corner(random_crop({"clip": coordinates(10, 13)}, tf.constant([last, last]), size=8)["clip"]) == (2, 5)


@pytest.mark.parametrize(
    ("height", "width", "corners"),
    [(10, 15, [(1, 0), (1, 3), (1, 7)]), (15, 10, [(0, 1), (3, 1), (7, 1)]), (8, 8, [(0, 0)] * 3)],
)
def test_three_views_go_along_the_longer_side(height, width, corners):
    clip = coordinates(height, width)
    assert [corner(crop_view({"clip": clip}, view, of=3, size=8)["clip"]) for view in range(3)] == corners
    assert corner(crop_view({"clip": clip}, 0, of=1, size=8)["clip"]) == corners[1]


def test_flip_mirrors_every_frame():
    clip = coordinates(4, 5)
    flipped = flip_at_random({"clip": clip}, tf.constant(0.49))["clip"]
    np.testing.assert_array_equal(flipped, clip.numpy()[:, :, ::-1])
    np.testing.assert_array_equal(flip_at_random({"clip": clip}, tf.constant(0.5))["clip"], clip)


@pytest.mark.parametrize("shape", [(3, 20, 30, 3), (2, 3, 30, 20, 3)])
def test_resizing_is_that_of_images(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    resized = resize({"clip": tf.constant(pixels)}, shorter_side=10)["clip"]
    size = (10, 15) if shape[-3] == 20 else (15, 10)
    assert resized.shape == (*shape[:-3], *size, 3)
    reference = tf.image.resize(pixels.reshape(-1, *shape[-3:]), size, antialias=True)
    np.testing.assert_allclose(resized.numpy().reshape(reference.shape), reference, atol=1e-3)


def test_a_clip_of_the_right_size_is_not_resized():
    clip = coordinates(10, 15)
    np.testing.assert_array_equal(resize({"clip": clip}, shorter_side=10)["clip"], tf.cast(clip, tf.float32))


def test_standardize():
    values = standardize({"clip": tf.constant(np.full((1, 1, 1, 3), 51, "uint8"))}, SPEC)["clip"]
    np.testing.assert_allclose(values[0, 0, 0], [(0.2 - 0.45) / 0.225] * 3, rtol=1e-5)


def test_preprocess_for_clips_of_any_length_and_size_in_a_graph():
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, None, 3], tf.uint8)])
    def serve(clips):
        return preprocess(clips, SPEC)

    for shape in [(2, 3, 20, 30, 3), (1, 5, 10, 13, 3)]:
        clips = tf.constant(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
        served = serve(clips)
        assert served.shape == (*shape[:2], 8, 8, 3)
        np.testing.assert_allclose(served, preprocess(clips, SPEC), atol=1e-4)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_augmentations_give_squares_eagerly_and_in_a_data_set(name):
    augmentation = AUGMENTATIONS[name]
    draws = np.random.default_rng(0).random((6, augmentation.draws), np.float32)
    sides = {augmentation.shorter_side(SPEC, draw) for draw in (0.0, 0.5, 0.9)}
    assert sides == ({10} if name == "none" else {10, 11, 12})

    def apply(draws: tf.Tensor) -> tf.Tensor:
        return augmentation.apply({"clip": coordinates(10, 13)}, SPEC, draws)["clip"]

    found = list(tf.data.Dataset.from_tensor_slices(draws).map(apply))
    for clip, own in zip(found, draws, strict=True):
        assert clip.shape == (3, 8, 8, 3)
        np.testing.assert_array_equal(clip, apply(tf.constant(own)))
    is_flipped = {bool(clip[0, 0, 0, 1] > clip[0, 0, 1, 1]) for clip in found}
    assert is_flipped == ({True, False} if name == "jitter_crop_flip" else {False})


def test_jittered_sides_are_all_as_likely():
    sides = [jittered_side(SPEC, float(draw)) for draw in np.random.default_rng(0).random(3000, np.float32)]
    assert sorted(set(sides)) == [10, 11, 12]
    assert min(np.bincount(sides)[10:]) > 900
