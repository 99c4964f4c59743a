"""Detections become COCO's results, and come back out of them."""

import json

import numpy as np
import pytest
from pycocotools import mask as rle

from zoo.metrics.coco_results import coco_results, encode_mask, write_results


@pytest.fixture
def detections():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 40, [5, 2, 2]), axis=1)  # [detection, least and greatest, y and x]
    return {
        "boxes": corners.reshape(5, 4).astype("float32"),
        "scores": rng.uniform(size=5).astype("float32"),
        "classes": np.array([2, 0, 1, -1, -1]),
        "masks": rng.uniform(size=[5, 40, 50]) < 0.3,
    }


def test_entries_are_the_detections_in_cocos_convention(detections):
    entries = coco_results(np.int64(9), **detections, category_ids=[5, 6, 90])
    assert [entry["category_id"] for entry in entries] == [90, 5, 6]
    for entry, box, score, mask in zip(
        entries, detections["boxes"][:3], detections["scores"], detections["masks"], strict=False
    ):
        x, y, width, height = entry["bbox"]
        np.testing.assert_allclose([y, x, y + height, x + width], box, rtol=1e-6)
        assert entry["score"] == score
        assert entry["image_id"] == 9
        np.testing.assert_array_equal(rle.decode(entry["segmentation"]), mask)


def test_without_masks_there_is_no_segmentation(detections):
    del detections["masks"]
    assert all("segmentation" not in entry for entry in coco_results(9, **detections, category_ids=[5, 6, 90]))


def test_run_lengths_go_down_the_columns():
    mask = np.zeros([3, 4], bool)
    mask[0, 1] = True
    assert rle.decode(encode_mask(mask))[0, 1] == 1
    assert encode_mask(mask)["size"] == [3, 4]


def test_a_results_file_is_json_and_whole(detections, tmp_path):
    entries = coco_results(9, **detections, category_ids=[5, 6, 90])
    path = tmp_path / "new" / "results.json"
    write_results(path, entries)
    assert json.loads(path.read_text(encoding="utf-8")) == entries
    assert path.read_text(encoding="utf-8").count("\n") == 1
    with pytest.raises(ValueError, match="JSON"):
        write_results(path, [{"score": float("nan")}])
    assert json.loads(path.read_text(encoding="utf-8")) == entries
