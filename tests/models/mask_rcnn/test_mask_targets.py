"""Masks cropped to regions, and pasted back into the image."""

import numpy as np
import pytest

from zoo.models.mask_rcnn.mask_targets import crop_masks
from zoo.models.mask_rcnn.paste import paste_masks

IMAGE = np.array([[[0.0, 0, 40, 60]]], "float32")


def disc(height: int, width: int) -> np.ndarray:
    y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    return (((y - height / 2) / height) ** 2 + ((x - width / 2) / width) ** 2 < 0.2).astype("uint8")


def test_the_own_box_of_a_whole_image_bitmap_gives_the_cut_out() -> None:
    mask = np.zeros((1, 1, 40, 60), "uint8")
    mask[0, 0, 4:32, 10:38] = disc(28, 28)
    box = np.array([[[4.0, 10, 32, 38]]], "float32")
    cropped = crop_masks(mask, IMAGE, box, np.array([[0]]), sampling_ratio=1)
    np.testing.assert_array_equal(cropped[0, 0], disc(28, 28))


def test_a_bitmap_of_the_own_box_gives_the_same_as_one_of_the_image() -> None:
    box = np.array([[[8.0, 12, 36, 40]]], "float32")
    whole = np.zeros((1, 1, 40, 60), "uint8")
    whole[0, 0, 8:36, 12:40] = disc(28, 28)
    region, index = np.array([[[2.0, 12, 30, 50]]], "float32"), np.array([[0]])
    of_image = crop_masks(whole, IMAGE, region, index, binary=False)
    of_box = crop_masks(disc(28, 28)[None, None], box, region, index, binary=False)
    np.testing.assert_allclose(of_image, of_box, atol=1e-4)
    means = np.array(of_box)
    assert ((means > 0) & (means < 1)).any()
    np.testing.assert_array_equal(crop_masks(whole, IMAGE, region, index), means >= 0.5)


def test_each_region_takes_its_object_and_nothing_lies_outside() -> None:
    masks = np.stack([np.zeros((8, 8)), np.ones((8, 8))])[None].astype("float32")
    windows = np.array([[[0.0, 0, 8, 8], [10, 10, 20, 20]]], "float32")
    boxes = np.array([[[10.0, 10, 20, 20], [0, 0, 8, 8], [30, 30, 38, 38]]], "float32")
    cropped = np.array(crop_masks(masks, windows, boxes, np.array([[1, 0, 1]]), bins=4))
    np.testing.assert_array_equal(cropped.mean(axis=(2, 3)), [[1, 0, 0]])


def slow_paste(mask: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    result = np.zeros(size)
    cells = len(mask)
    for i, j in np.ndindex(size):
        y = (i + 0.5 - box[0]) / (box[2] - box[0]) * cells - 0.5
        x = (j + 0.5 - box[1]) / (box[3] - box[1]) * cells - 0.5
        for m, n in np.ndindex(cells, cells):
            result[i, j] += mask[m, n] * max(0, 1 - abs(y - m)) * max(0, 1 - abs(x - n))
    return result


@pytest.mark.parametrize("box", [(2.0, 3.0, 9.0, 8.0), (-3.5, 2.2, 5.1, 20.0), (4.2, 4.1, 5.0, 4.9)])
def test_pasting_is_bilinear(box: tuple[float, ...]) -> None:
    mask = np.random.default_rng(0).random((4, 4))
    pasted = paste_masks(mask, np.array(box), size=(10, 11))
    np.testing.assert_allclose(pasted, slow_paste(mask, np.array(box), (10, 11)), atol=1e-5)


def test_pasting_what_was_cropped_gives_the_mask_again() -> None:
    mask = np.zeros((1, 1, 40, 60), "uint8")
    mask[0, 0, 6:34, 8:36] = disc(28, 28)
    box = np.array([[[6.0, 8, 34, 36]]], "float32")
    cropped = crop_masks(mask, IMAGE, box, np.array([[0]]), sampling_ratio=1)
    np.testing.assert_array_equal(np.array(paste_masks(cropped, box, size=(40, 60))) >= 0.5, mask)


def test_an_empty_box_gives_an_empty_mask() -> None:
    assert not np.array(paste_masks(np.ones((4, 4)), np.array([3.5, 3, 3.5, 9]), size=(12, 12))).any()
