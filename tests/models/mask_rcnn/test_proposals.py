"""Proposals against the papers' recipe as a slow loop, image by image."""

import numpy as np
import pytest

from zoo.models.mask_rcnn.boxes import decode, iou
from zoo.models.mask_rcnn.proposals import propose


def slow_proposals(objectness, deltas, anchors, size, *, of_level, of_image, threshold, smallest):
    found = []
    for level in range(len(objectness)):
        boxes = np.array(decode(deltas[level], anchors[level]))
        boxes = np.clip(boxes, 0, [size[0], size[1], size[0], size[1]])
        kept: list[int] = []
        for i in np.argsort(-objectness[level])[:of_level]:
            height, width = boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
            if min(height, width) <= 0 or min(height, width) < smallest:
                continue
            if all(float(iou(boxes[i : i + 1], boxes[j : j + 1])[0, 0]) <= threshold for j in kept):
                kept.append(i)
        found += [(objectness[level][i], boxes[i]) for i in kept]
    return sorted(found, key=lambda pair: -pair[0])[:of_image]


@pytest.mark.parametrize(("of_level", "of_image", "smallest"), [(8, 30, 0.0), (100, 5, 3.0)])
def test_equals_the_slow_loop(of_level: int, of_image: int, smallest: float) -> None:
    rng = np.random.default_rng(0)
    counts, sizes = (20, 6), np.array([[40, 50], [30, 44]])
    objectness = [rng.normal(size=(2, n)).astype("float32") for n in counts]
    deltas = [rng.normal(size=(2, n, 4)).astype("float32") for n in counts]
    corners = [rng.uniform(-10, 40, (n, 2)) for n in counts]
    anchors = [np.concatenate([c, c + rng.uniform(2, 20, c.shape)], axis=1).astype("float32") for c in corners]
    found = propose(
        objectness,
        deltas,
        anchors,
        sizes,
        best_of_level=of_level,
        best_of_image=of_image,
        iou_threshold=0.5,
        smallest_side=smallest,
    )
    assert found.boxes.shape == (2, of_image, 4)
    for image in range(2):
        expected = slow_proposals(
            [level[image] for level in objectness],
            [level[image] for level in deltas],
            anchors,
            sizes[image],
            of_level=of_level,
            of_image=of_image,
            threshold=0.5,
            smallest=smallest,
        )
        assert 1 < len(expected) <= of_image
        np.testing.assert_array_equal(found.are_filled[image], np.arange(of_image) < len(expected))
        np.testing.assert_allclose(found.scores[image][: len(expected)], [score for score, _ in expected])
        np.testing.assert_allclose(found.boxes[image][: len(expected)], [box for _, box in expected], atol=1e-4)
        np.testing.assert_array_equal(found.boxes[image][len(expected) :], 0)


def test_an_image_whose_boxes_are_all_outside_has_none() -> None:
    found = propose(
        [np.ones((1, 2))], [np.zeros((1, 2, 4))], [np.full((2, 4), 99.0)], np.array([[8, 8]]), best_of_image=3
    )
    assert not np.array(found.are_filled).any()
