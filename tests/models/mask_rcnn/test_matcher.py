"""Matching against a slow loop, and its edge cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.models.mask_rcnn.boxes import iou, share_covered
from zoo.models.mask_rcnn.matcher import IGNORED, NEGATIVE, POSITIVE, match


def random_boxes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    corner = rng.integers(0, 12, (*shape, 2))
    return np.concatenate([corner, corner + rng.integers(1, 9, (*shape, 2))], axis=-1).astype("float32")


def slow_labels(candidates, objects, is_object, is_crowd, *, high, low, force_best, crowd_covers):
    quality = np.array(iou(candidates, objects))
    covered = np.array(share_covered(candidates, objects))
    labels = []
    for n in range(len(candidates)):
        values = [quality[n, g] for g in range(len(objects)) if is_object[g]]
        best = max(values, default=-1.0)
        label = POSITIVE if best >= high else NEGATIVE if best < low else IGNORED
        crowds = [covered[n, g] for g in range(len(objects)) if is_crowd[g]]
        if label == NEGATIVE and crowd_covers is not None and max(crowds, default=0.0) >= crowd_covers:
            label = IGNORED
        if force_best:
            for g in range(len(objects)):
                if is_object[g] and 0 < quality[n, g] == quality[:, g].max():
                    label = POSITIVE
        labels.append(label)
    return labels


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 9999),
    high=st.sampled_from([0.7, 0.5]),
    force_best=st.booleans(),
    crowd_covers=st.sampled_from([None, 0.7]),
)
def test_labels_are_those_of_a_slow_loop(seed: int, high: float, force_best: bool, crowd_covers: float | None) -> None:
    rng = np.random.default_rng(seed)
    candidates, objects = random_boxes(rng, 12), random_boxes(rng, 2, 5)
    kind = rng.integers(0, 3, (2, 5))
    thresholds = {"force_best": force_best, "crowd_covers": crowd_covers}
    found = match(
        candidates, objects, kind == 1, positive_from=high, negative_below=0.3, is_crowd=kind == 2, **thresholds
    )
    for image in range(2):
        expected = slow_labels(
            candidates, objects[image], kind[image] == 1, kind[image] == 2, high=high, low=0.3, **thresholds
        )
        np.testing.assert_array_equal(found.labels[image], expected)
        of_objects = np.where(kind[image] == 1, iou(candidates, objects[image]), -1)
        np.testing.assert_array_equal(found.index[image], of_objects.argmax(axis=1))


@pytest.mark.parametrize("force_best", [False, True])
def test_without_objects_everything_is_negative(force_best: bool) -> None:
    boxes = random_boxes(np.random.default_rng(0), 1, 6)
    found = match(boxes, boxes, np.zeros((1, 6), bool), positive_from=0.7, negative_below=0.3, force_best=force_best)
    np.testing.assert_array_equal(found.labels, np.zeros((1, 6)))


def test_an_object_that_no_candidate_touches_makes_none_positive() -> None:
    candidates = np.array([[0.0, 0, 4, 4], [8, 8, 9, 9]], "float32")
    objects = np.array([[[50.0, 50, 60, 60]]], "float32")
    found = match(candidates, objects, np.array([[True]]), positive_from=0.7, negative_below=0.3, force_best=True)
    np.testing.assert_array_equal(found.labels, [[NEGATIVE, NEGATIVE]])


def test_thresholds_belong_to_the_upper_side() -> None:
    # IoU 0.5 and 0.25, exactly.
    candidates = np.array([[0.0, 0, 4, 2], [0, 0, 4, 1]], "float32")
    objects = np.array([[[0.0, 0, 4, 4]]], "float32")
    found = match(candidates, objects, np.array([[True]]), positive_from=0.5, negative_below=0.25)
    np.testing.assert_array_equal(found.labels, [[POSITIVE, IGNORED]])


def test_a_candidate_in_a_crowd_is_ignored_unless_it_is_positive() -> None:
    candidates = np.array([[0.0, 0, 4, 4], [10, 10, 14, 14], [30, 30, 34, 34]], "float32")
    objects = np.array([[[0.0, 0, 4, 4], [0, 0, 20, 20]]], "float32")
    kinds = {"is_object": np.array([[True, False]]), "is_crowd": np.array([[False, True]])}
    thresholds = {"positive_from": 0.5, "negative_below": 0.5}
    found = match(candidates, objects, **kinds, **thresholds)
    np.testing.assert_array_equal(found.labels, [[POSITIVE, IGNORED, NEGATIVE]])
    found = match(candidates, objects, **kinds, **thresholds, crowd_covers=None)
    np.testing.assert_array_equal(found.labels, [[POSITIVE, NEGATIVE, NEGATIVE]])
