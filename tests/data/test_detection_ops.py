"""Images move with their boxes and masks: against the pixels themselves, NumPy, and by inverses."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.data.detection_ops import (
    flip,
    jitter_scale,
    keep_visible,
    pad,
    resize,
    resized_size,
    scale_and_crop,
    to_original,
)

HEIGHT, WIDTH, CELLS = 40, 60, 16
# (ymin, xmin, ymax, xmax): an L of full size, a small bar, a part of the right edge.
WINDOWS = [[4, 6, 36, 38], [2, 44, 10, 52], [20, 44, 36, 60]]


def bitmaps() -> np.ndarray:
    masks = np.zeros([3, CELLS, CELLS], "uint8")
    masks[0, :, :4] = masks[0, 12:, :] = 1
    masks[1:] = 1
    return masks


def scene() -> dict[str, tf.Tensor]:
    """Object n fills channel n of a black image, so that pixels tell where it is."""
    example = {
        "boxes": np.array(WINDOWS, "float32"),
        "classes": np.array([5, 1, 2], "int32"),
        "crowd": np.zeros(3, bool),
        "masks": bitmaps(),
        "mask_windows": np.array(WINDOWS, "float32"),
    }
    image = np.stack([paste(example, row, (HEIGHT, WIDTH)) for row in range(3)], axis=-1)
    return {key: tf.constant(value) for key, value in example.items()} | {"image": tf.constant(image * np.uint8(255))}


def paste(example, row: int, size: tuple[int, int]) -> np.ndarray:
    """Slow and obvious: a pixel belongs to the object if the cell under its centre does."""
    ymin, xmin, ymax, xmax = np.array(example["mask_windows"][row])
    mask = np.array(example["masks"][row])
    pixels = np.zeros(size, bool)
    for y, x in np.ndindex(*size):
        down, across = (y + 0.5 - ymin) / (ymax - ymin) * CELLS, (x + 0.5 - xmin) / (xmax - xmin) * CELLS
        if 0 <= down < CELLS and 0 <= across < CELLS:
            pixels[y, x] = mask[int(down), int(across)]
    return pixels


def assert_objects_lie_on_their_pixels(example) -> None:
    """Every object's box and bitmap is where its channel is bright; what has no row shows nowhere."""
    image = np.array(example["image"], "float32")
    size = image.shape[:2]
    channel = {5: 0, 1: 1, 2: 2}
    rows = {channel[int(label)]: row for row, label in enumerate(np.array(example["classes"])) if label >= 0}
    for number in range(3):
        bright = image[..., number] > 127
        box = np.array(example["boxes"][rows[number]]) if number in rows else np.zeros(4)
        if (box[2:] - box[:2]).min() < 1:
            assert bright.sum() <= max(size)  # cut away, up to the seam
            continue
        y, x = np.nonzero(bright)
        np.testing.assert_allclose(box, [y.min(), x.min(), y.max() + 1, x.max() + 1], atol=1.1)
        is_clear = (image[..., number] < 15) | (image[..., number] > 240)  # no mixture of the object and what is around
        assert (bright != paste(example, rows[number], size))[is_clear].mean() < 0.005
        assert (box[:2] >= 0).all()
        assert (box[2:] <= size).all()


def test_the_scene_itself():
    assert_objects_lie_on_their_pixels(scene())


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (100, 1000), (1000, 999), (3, 5)])
@pytest.mark.parametrize(("shorter", "longer", "side"), [(800, 1333, 1344), (800, 1333, 512), (512, 512, 512)])
def test_the_size_after_resizing(size, shorter, longer, side):
    got = resized_size(tf.constant(size), shorter=shorter, longer=longer, side=side).numpy()
    scale = min(shorter / min(size), longer / max(size), side / max(size))
    np.testing.assert_allclose(got, np.multiply(size, scale), atol=0.51)
    assert min(got) == shorter or max(got) == min(longer, side)


def test_sizes_rounded_down_are_torchvisions():
    def both(size):
        return [
            resized_size(tf.constant(size), shorter=800, longer=1333, side=1344, rounded=rounded).numpy().tolist()
            for rounded in (True, False)
        ]

    assert both((480, 640)) == [[800, 1067], [800, 1066]]
    for height in range(300, 700):  # 800 and 1333 come out whole, whatever the rounding errors
        assert both((height, height)) == [[800, 800]] * 2
        assert [size[1] for size in both((height, 3 * height))] == [1333] * 2


@pytest.mark.parametrize("size", [(20, 30), (80, 120), (53, 61), (40, 60)])
@pytest.mark.parametrize("antialias", [True, False])
def test_resizing_is_tensorflows_and_takes_objects_along(size, antialias):
    example = scene()
    resized = resize(example, size=tf.constant(size), antialias=antialias)
    expected = tf.image.resize(example["image"], size, antialias=antialias)
    np.testing.assert_allclose(resized["image"], expected, atol=0.01)
    assert_objects_lie_on_their_pixels(resized)


def test_boxes_come_back_from_a_resized_image():
    example = scene()
    resized = resize(example, size=tf.constant([53, 31]))
    scale = tf.constant([[53 / HEIGHT, 31 / WIDTH]], tf.float32)
    back = to_original(resized["boxes"][tf.newaxis], scale=scale, size=tf.constant([[HEIGHT, WIDTH]]))
    np.testing.assert_allclose(back[0], example["boxes"], rtol=1e-5)
    beyond = to_original(tf.constant([[[-3.0, 0, 99, 99]]]), scale=scale, size=tf.constant([[HEIGHT, WIDTH]]))
    assert beyond[0, 0].numpy().tolist() == [0, 0, HEIGHT, WIDTH]


@pytest.mark.parametrize("scaled", [(40, 60), (90, 135), (30, 45)])
def test_cropping_is_resizing_and_then_cutting(scaled):
    example, (top, left), (height, width) = scene(), (7, 11), (20, 30)
    cut = scale_and_crop(
        example, scaled=tf.constant(scaled), corner=tf.constant([top, left]), size=tf.constant([height, width])
    )
    whole = resize(example, size=tf.constant(scaled))
    expected = whole["image"][top : top + height, left : left + width]
    np.testing.assert_allclose(cut["image"], expected, atol=0.05)
    np.testing.assert_allclose(cut["boxes"], whole["boxes"] - [top, left, top, left], atol=1e-4)
    np.testing.assert_allclose(cut["mask_windows"], whole["mask_windows"] - [top, left, top, left], atol=1e-4)
    assert_objects_lie_on_their_pixels(keep_visible(cut))


def test_flipping_twice_gives_back_the_example():
    example = scene()
    once, twice = flip(example), flip(flip(example))
    for key, value in example.items():
        np.testing.assert_array_equal(twice[key], value, err_msg=key)
    np.testing.assert_array_equal(once["image"], example["image"][:, ::-1])
    assert_objects_lie_on_their_pixels(once)
    assert (once["boxes"] != example["boxes"]).numpy().any()


@pytest.mark.parametrize("draws", [(0.0, 0, 0), (0.5, 0.5, 0.5), (0.999, 0, 0), (0.999, 0.999, 0.999), (0.8, 0.3, 0.9)])
def test_large_scale_jitter(draws):
    jittered = jitter_scale(scene(), tf.constant(draws), side=64)
    scale = (0.1 + 1.9 * draws[0]) * 64 / WIDTH
    expected = [min(64, round(HEIGHT * scale)), min(64, round(WIDTH * scale))]
    assert jittered["image"].shape.as_list() == [*expected, 3]
    if draws[0]:
        assert_objects_lie_on_their_pixels(jittered)
    assert len(jittered["boxes"]) == len(jittered["classes"]) == len(jittered["masks"])


def test_the_corner_of_the_jitter_reaches_both_ends():
    image = tf.reshape(tf.range(100 * 100, dtype=tf.float32), [100, 100, 1])
    example = {
        "image": image,
        "boxes": tf.zeros([0, 4]),
        "classes": tf.zeros([0], tf.int32),
        "crowd": tf.zeros([0], bool),
    }
    for draw, corner in ((0.0, 0), (0.99999, 50)):
        cut = jitter_scale(example, tf.constant([0.0, draw, draw]), side=50, smallest=2.0)
        np.testing.assert_allclose(cut["image"], image[corner : corner + 50, corner : corner + 50], atol=0.1)


def test_an_object_of_which_nothing_shows_is_gone():
    """Of the L, cut to its empty upper right corner, the box would still be there."""
    cut = scale_and_crop(scene(), scaled=tf.constant([40, 60]), corner=tf.constant([0, 16]), size=tf.constant([26, 20]))
    assert keep_visible(cut)["classes"].numpy().tolist() == []
    without_masks = {key: value for key, value in cut.items() if key not in ("masks", "mask_windows")}
    assert keep_visible(without_masks)["classes"].numpy().tolist() == [5]


def test_a_box_that_is_cut_shrinks_to_what_shows_and_others_stay_as_annotated():
    example = scene()
    example["boxes"] += [[0, 0, 0, 0], [-1, -1, 1, 1], [0, 0, 0, 0]]  # annotated a pixel wider than its outline
    cut = scale_and_crop(example, scaled=tf.constant([40, 60]), corner=tf.constant([0, 0]), size=tf.constant([40, 58]))
    kept = keep_visible(cut)
    np.testing.assert_array_equal(kept["boxes"][:2], example["boxes"][:2])
    np.testing.assert_array_equal(kept["boxes"][2], [20, 44, 36, 58])
    lower = scale_and_crop(
        scene(), scaled=tf.constant([40, 60]), corner=tf.constant([30, 0]), size=tf.constant([10, 60])
    )
    np.testing.assert_array_equal(keep_visible(lower)["boxes"][0], [0, 6, 6, 38])
    left = scale_and_crop(
        scene(), scaled=tf.constant([40, 60]), corner=tf.constant([0, 20]), size=tf.constant([40, 40])
    )
    np.testing.assert_array_equal(keep_visible(left)["boxes"][0], [28, 0, 36, 18])


def test_a_crowd_that_is_cut_keeps_its_box():
    example = scene() | {"crowd": tf.constant([True, False, False]), "masks": tf.constant(bitmaps() * 0)}
    cut = scale_and_crop(example, scaled=tf.constant([40, 60]), corner=tf.constant([0, 16]), size=tf.constant([26, 20]))
    kept = keep_visible(cut)
    assert kept["boxes"].numpy().tolist() == [[4, 0, 26, 20]]
    assert kept["crowd"].numpy().tolist() == [True]


def test_padding():
    example = scene()
    padded = pad(example, side=64, objects=5)
    assert padded["image_size"].numpy().tolist() == [HEIGHT, WIDTH]
    np.testing.assert_array_equal(padded["image"][:HEIGHT, :WIDTH], example["image"])
    assert padded["image"].numpy().sum() == example["image"].numpy().sum()
    assert padded["classes"].numpy().tolist() == [5, 1, 2, -1, -1]
    for key in ("boxes", "crowd", "masks", "mask_windows"):
        assert padded[key].dtype == example[key].dtype
        np.testing.assert_array_equal(padded[key][:3], example[key])
        assert not padded[key][3:].numpy().any()
    assert pad(example, side=60, objects=2)["classes"].numpy().tolist() == [5, 1]
    assert pad({"image": example["image"]}, side=60, objects=0).keys() == {"image", "image_size"}


def test_in_a_data_set_the_numbers_are_the_same_and_shapes_static():
    def transform(example):
        jittered = jitter_scale(flip(example), tf.constant([0.9, 0.2, 0.7]), side=64)
        return pad(jittered, side=64, objects=4)

    eager = transform(scene())
    data = tf.data.Dataset.from_tensors(scene()).map(transform)
    assert all(spec.shape.is_fully_defined() for spec in data.element_spec.values())
    (mapped,) = data
    for key, value in eager.items():
        np.testing.assert_allclose(mapped[key], value, atol=1e-3, err_msg=key)
