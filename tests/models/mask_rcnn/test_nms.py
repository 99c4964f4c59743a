"""Suppression equals the greedy loop."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.models.mask_rcnn.boxes import iou
from zoo.models.mask_rcnn.nms import non_maximum_suppression


def greedy(boxes: np.ndarray, scores: np.ndarray, groups: np.ndarray, threshold: float) -> np.ndarray:
    overlaps = np.array(iou(boxes, boxes))
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if scores[i] == -np.inf:
            continue
        if all(overlaps[i, j] <= threshold or groups[i] != groups[j] for j in kept):
            kept.append(i)
    return np.isin(np.arange(len(scores)), kept)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99999),
    count=st.integers(1, 30),
    spread=st.integers(1, 30),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.7]),
    grouped=st.booleans(),
)
def test_equals_the_greedy_loop(seed: int, count: int, spread: int, threshold: float, grouped: bool) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, spread, (2, count, 2))
    boxes = np.concatenate([corner, corner + rng.integers(0, 12, (2, count, 2))], axis=-1).astype("float32")
    # Few different scores, so that many are equal; some are padding.
    scores = np.where(rng.random((2, count)) < 0.1, -np.inf, rng.integers(0, 9, (2, count))).astype("float32")
    groups = rng.integers(0, 3 if grouped else 1, (2, count))
    keep = non_maximum_suppression(boxes, scores, iou_threshold=threshold, groups=groups if grouped else None)
    for image in range(2):
        np.testing.assert_array_equal(keep[image], greedy(boxes[image], scores[image], groups[image], threshold))


def test_a_long_chain_needs_as_many_rounds_as_it_has_links() -> None:
    starts = np.arange(40.0, dtype="float32") * 4
    boxes = np.stack([np.zeros(40), starts, np.full(40, 10), starts + 10], axis=-1)[None].astype("float32")
    keep = non_maximum_suppression(boxes, -starts[None], iou_threshold=0.4)
    np.testing.assert_array_equal(keep[0], np.arange(40) % 2 == 0)


def test_nothing_but_padding() -> None:
    keep = non_maximum_suppression(
        np.zeros((1, 3, 4), "float32"), np.full((1, 3), -np.inf, "float32"), iou_threshold=0.5
    )
    np.testing.assert_array_equal(keep, [[False] * 3])


def test_boxes_at_the_threshold_stay() -> None:
    boxes = np.array([[[0.0, 0, 4, 4], [0, 0, 4, 2]]], "float32")
    scores = keras.ops.array([[2.0, 1.0]])
    np.testing.assert_array_equal(non_maximum_suppression(boxes, scores, iou_threshold=0.5), [[True, True]])
    np.testing.assert_array_equal(non_maximum_suppression(boxes, scores, iou_threshold=0.49), [[True, False]])
