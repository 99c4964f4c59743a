"""Targets: what positives aim at, and images that have nothing to aim at."""

import numpy as np
import pytest

from zoo.models.mask_rcnn.boxes import BOX_HEAD_WEIGHTS, decode
from zoo.models.mask_rcnn.proposals import Proposals
from zoo.models.mask_rcnn.settings import Settings
from zoo.models.mask_rcnn.targets import anchor_targets, objects_of, region_targets

SETTINGS = Settings(rpn_sample=8, region_sample=8, region_positive_share=0.5)
BOXES = np.array([[[2.0, 2, 12, 12], [20, 20, 36, 40], [0, 0, 0, 0]]], "float32")
INPUTS = {"boxes": BOXES, "classes": np.array([[4, 0, -1]])}
CANDIDATES = np.array([[2.0, 2, 12, 11], [21, 20, 36, 40], [60, 60, 70, 70], [0, 30, 9, 44]], "float32")


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype("float32")


def proposals() -> Proposals:
    scores = np.array([[3.0, 2, 1, -np.inf]], "float32")
    return Proposals(boxes=CANDIDATES[None], scores=scores)


def test_positive_anchors_aim_at_their_object() -> None:
    found = anchor_targets(CANDIDATES, objects_of(INPUTS), numbers(1, 4), SETTINGS)
    index, positive = np.array(found.index)[0], np.array(found.is_positive)[0]
    assert sorted(index[positive]) == [0, 1]
    assert np.array(found.is_sampled).sum() == 4
    reached = np.array(decode(found.deltas[0], CANDIDATES[index]))
    np.testing.assert_allclose(reached[positive], BOXES[0, index[positive]], atol=1e-4)
    assert np.isfinite(found.deltas).all()


def test_regions_are_the_proposals_and_the_objects_themselves() -> None:
    found = region_targets(proposals(), objects_of(INPUTS), numbers(1, 7), SETTINGS)
    positive = np.array(found.is_positive)[0]
    # Two proposals and both objects; the third proposal is the background, the empty slot nothing.
    np.testing.assert_array_equal(positive, [True] * 4 + [False] * 4)
    np.testing.assert_array_equal(found.is_sampled, [[True] * 5 + [False] * 3])
    assert sorted(np.array(found.classes)[0]) == [0, 0, 0, 0, 1, 1, 5, 5]
    reached = np.array(decode(found.deltas[0], found.boxes[0], weights=BOX_HEAD_WEIGHTS))
    np.testing.assert_allclose(reached[positive], BOXES[0, np.array(found.objects)[0][positive]], atol=1e-4)
    assert np.isfinite(found.deltas).all()


@pytest.mark.parametrize(
    "inputs",
    [
        {"boxes": BOXES, "classes": np.full((1, 3), -1)},
        {"boxes": np.zeros((1, 3, 4), "float32"), "classes": np.zeros((1, 3), int)},
        {"boxes": BOXES, "classes": np.array([[1, 1, -1]]), "crowd": np.ones((1, 3), bool)},
    ],
    ids=["padding", "boxes of no area", "crowds"],
)
def test_without_objects_nothing_is_positive(inputs: dict) -> None:
    anchors = anchor_targets(CANDIDATES, objects_of(inputs), numbers(1, 4), SETTINGS)
    regions = region_targets(proposals(), objects_of(inputs), numbers(1, 7), SETTINGS)
    assert not np.array(anchors.is_positive).any()
    assert not np.array(regions.is_positive).any()
    # Two of the four candidates lie in a crowd, if there is one.
    in_crowd = 2 if "crowd" in inputs else 0
    assert np.array(anchors.is_sampled).sum() == 4 - in_crowd
    assert np.array(regions.is_sampled).sum() == 3 - in_crowd
    assert np.isfinite(anchors.deltas).all()
    assert np.isfinite(regions.deltas).all()
