"""Detections against the recipe as a slow loop."""

import numpy as np
import pytest

from zoo.models.mask_rcnn.boxes import BOX_HEAD_WEIGHTS, decode, iou
from zoo.models.mask_rcnn.postprocess import choose_class, select_detections


def slow_detections(regions, filled, logits, deltas, size, *, most):
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    found = []
    for k in range(logits.shape[-1] - 1):
        of_class = deltas[:, k if deltas.shape[1] > 1 else 0]
        boxes = np.array(decode(of_class, regions, weights=BOX_HEAD_WEIGHTS))
        boxes = np.clip(boxes, 0, [size[0], size[1], size[0], size[1]])
        kept: list[int] = []
        for i in np.argsort(-probabilities[:, k + 1]):
            empty = boxes[i, 2] <= boxes[i, 0] or boxes[i, 3] <= boxes[i, 1]
            if not filled[i] or empty or probabilities[i, k + 1] <= 0.05:
                continue
            if all(float(iou(boxes[i : i + 1], boxes[j : j + 1])[0, 0]) <= 0.5 for j in kept):
                kept.append(i)
        found += [(probabilities[i, k + 1], k, boxes[i]) for i in kept]
    return sorted(found, key=lambda row: -row[0])[:most]


@pytest.mark.parametrize("boxes_count", [3, 1])
@pytest.mark.parametrize(("most", "candidates"), [(50, 2000), (4, 20)])
def test_equals_the_slow_loop(boxes_count: int, most: int, candidates: int) -> None:
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 30, (2, 12, 2))
    regions = np.concatenate([corner, corner + rng.uniform(4, 20, (2, 12, 2))], axis=-1).astype("float32")
    filled = rng.random((2, 12)) < 0.8
    logits = rng.normal(scale=2, size=(2, 12, 4)).astype("float32")
    deltas = rng.normal(size=(2, 12, boxes_count, 4)).astype("float32")
    sizes = np.array([[40, 40], [28, 36]])
    found = select_detections(regions, filled, logits, deltas, sizes, most=most, candidates=candidates)
    for image in range(2):
        expected = slow_detections(regions[image], filled[image], logits[image], deltas[image], sizes[image], most=most)
        count = len(expected)
        assert found.count[image] == count > 3
        np.testing.assert_allclose(found.scores[image][:count], [row[0] for row in expected], rtol=1e-5)
        np.testing.assert_array_equal(found.classes[image][:count], [row[1] for row in expected])
        np.testing.assert_allclose(found.boxes[image][:count], [row[2] for row in expected], atol=1e-4)
        np.testing.assert_array_equal(found.classes[image][count:], -1)
        np.testing.assert_array_equal(found.scores[image][count:], 0)
        np.testing.assert_array_equal(found.boxes[image][count:], 0)


def test_nothing_found() -> None:
    logits, regions = np.array([[[9.0, 0, 0]] * 3]), np.array([[[0.0, 0, 4, 4]] * 3])
    found = select_detections(regions, np.ones((1, 3), bool), logits, np.zeros((1, 3, 2, 4)), np.array([[8, 8]]))
    assert found.count[0] == 0
    assert found.boxes.shape == (1, 100, 4)


def test_choose_class() -> None:
    values = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    classes = np.array([[0, 3, -1], [2, 1, 0]])
    chosen = np.array(choose_class(values, classes))
    for b, r in np.ndindex(2, 3):
        np.testing.assert_array_equal(chosen[b, r], values[b, r, max(classes[b, r], 0)])
    np.testing.assert_array_equal(choose_class(values[:, :, :1], classes), values[:, :, 0])
