"""Outlines as COCO stores them: what can be used of them, and their bitmaps against rasters of whole images."""

import json

import numpy as np
import pytest
from pycocotools import mask as rle

from zoo.data.outlines import Polygons, Runs, parse_outline, rasterize

TRIANGLE = [1, 1, 7, 1, 1, 7]


def whole_image(segmentation, size):
    """COCO's own raster, [height, width]."""
    encoded = rle.frPyObjects(segmentation, *size)
    return rle.decode(rle.merge(encoded) if isinstance(encoded, list) else encoded)


def compressed(mask):
    encoded = rle.encode(np.asfortranarray(mask, dtype="uint8"))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


@pytest.mark.parametrize(
    ("segmentation", "parts", "unusable"),
    [
        ([TRIANGLE], 1, 0),
        (TRIANGLE, 1, 0),  # without the list around it
        ([TRIANGLE, [1, 1, 5, 5]], 1, 1),  # two points
        ([TRIANGLE, [*TRIANGLE, 3]], 1, 1),  # an odd count
        ([[1, 1, 5, float("nan"), 3, 3], TRIANGLE, []], 1, 2),
        ([["1", "x", 2, 3, 4, 5], TRIANGLE], 1, 1),
    ],
)
def test_polygons_that_can_be_used(segmentation, parts, unusable):
    outline, left_out = parse_outline(segmentation, (8, 8))
    assert isinstance(outline, Polygons)
    assert (len(outline.parts), left_out) == (parts, unusable)
    assert outline.as_coco()[-1] == TRIANGLE


@pytest.mark.parametrize(
    ("segmentation", "unusable"),
    [
        (None, 0),
        ([], 0),
        ("polygon", 0),
        ([[1, 1, 5, 5]], 1),
        ({"size": [8, 8], "counts": [60, 3]}, 0),  # 63 of 64 pixels
        ({"size": [8, 8], "counts": [60, -1, 5]}, 0),
        ({"size": [4, 16], "counts": [64]}, 0),
        ({"size": [8, 8], "counts": "zzz"}, 0),
        ({"size": [8, 8], "counts": None}, 0),
        ({}, 0),
    ],
)
def test_outlines_that_cannot_be_used(segmentation, unusable):
    assert parse_outline(segmentation, (8, 8)) == (None, unusable)


@pytest.mark.parametrize("size", [(7, 5), (1, 9), (300, 200)])
def test_compressed_run_lengths_are_those_of_pycocotools(size):
    rng = np.random.default_rng(0)
    for share in (0.0, 0.01, 0.5, 0.99, 1.0):
        mask = rng.uniform(size=size) < share
        outline, _ = parse_outline(compressed(mask), size)
        assert isinstance(outline, Runs)
        np.testing.assert_array_equal(whole_image(outline.as_coco(), size), mask)
        again, _ = parse_outline(outline.as_coco(), size)
        np.testing.assert_array_equal(again.ends, outline.ends)


def test_run_lengths_at_the_pixels_own_resolution_are_the_mask():
    mask = np.random.default_rng(1).uniform(size=[40, 60]) < 0.5
    outline, _ = parse_outline(compressed(mask), mask.shape)
    (bitmap,) = rasterize([outline], np.array([[10, 20, 18, 28]]), side=8)
    np.testing.assert_array_equal(bitmap, mask[10:18, 20:28])


def test_windows_beyond_the_image_and_polygons_far_beyond_the_window():
    runs, _ = parse_outline(compressed(np.ones([8, 8], bool)), (8, 8))
    assert rasterize([runs], np.array([[-4, -4, 12, 12]]), side=4).all()
    far, _ = parse_outline([[-1e9, 0, 1e9, 0, 1e9, 4, -1e9, 4]], (8, 8))
    assert rasterize([far], np.array([[0, 3, 8, 3.01]]), side=4).tolist() == [[[1] * 4] * 2 + [[0] * 4] * 2]


def test_polygons_add_up_and_one_that_crosses_itself_is_even_odd():
    twice, _ = parse_outline([[0, 0, 8, 0, 8, 4, 0, 4], [0, 2, 8, 2, 8, 8, 0, 8]], (8, 8))
    assert rasterize([twice], np.array([[0, 0, 8, 8]]), side=8).all()
    assert not rasterize([None], np.array([[0, 0, 8, 8]]), side=8).any()
    assert rasterize([], np.zeros([0, 4]), side=8).shape == (0, 8, 8)


@pytest.mark.parametrize("name", ["coco2017_mini", "fruits_nuts"])
def test_bitmaps_of_real_objects_are_crops_of_the_whole_images_raster(shared_data, name):
    """At 112 x 112 cells of the object's box. COCO's raster rounds edges to pixels, so small objects differ more."""
    files = {"coco2017_mini": "annotations/instances_val2017.json", "fruits_nuts": "trainval.json"}
    content = json.loads((shared_data / name / files[name]).read_text(encoding="utf-8"))
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    for entry in content["annotations"][:400]:
        size, (x, y, width, height) = sizes[entry["image_id"]], entry["bbox"]
        outline, unusable = parse_outline(entry["segmentation"], size)
        assert unusable == 0
        (bitmap,) = rasterize([outline], np.array([[y, x, y + height, x + width]]), side=112)
        centres = (np.arange(112) + 0.5) / 112
        rows, columns = (y + height * centres).astype(int), (x + width * centres).astype(int)
        expected = whole_image(entry["segmentation"], size)[np.ix_(rows, columns)]
        if isinstance(outline, Runs):
            np.testing.assert_array_equal(bitmap, expected)
        # Where they differ is a seam around the object: at most a pixel on both sides of the box's circumference.
        differ = (bitmap != expected).mean() * width * height
        assert differ <= 1.5 * (width + height)
        if entry["area"] > 32**2:
            assert (bitmap & expected).sum() / (bitmap | expected).sum() > 0.9
