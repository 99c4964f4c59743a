"""Anchors: places, sides and order, and where torchvision's differ."""

import numpy as np
import pytest

from zoo.models.mask_rcnn.anchors import RATIOS, cell_anchors, level_anchors, pyramid_anchors


def test_areas_and_ratios() -> None:
    cell = cell_anchors(64.0)
    height, width = cell[:, 2] - cell[:, 0], cell[:, 3] - cell[:, 1]
    np.testing.assert_allclose(height * width, 64**2, rtol=1e-5)
    np.testing.assert_allclose(height / width, RATIOS, rtol=1e-5)
    np.testing.assert_allclose(cell[:, :2], -cell[:, 2:])


def test_rounded_anchors_are_torchvisions() -> None:
    # What its AnchorGenerator gives for size 32, x and y exchanged.
    expected = [[-11, -23, 11, 23], [-16, -16, 16, 16], [-23, -11, 23, 11]]
    np.testing.assert_array_equal(cell_anchors(32.0, rounded=True), expected)


def test_every_anchor_is_where_a_slow_loop_puts_it() -> None:
    cell = cell_anchors(16.0)
    expected = [
        [cell[a, 0] + 8 * y, cell[a, 1] + 4 * x, cell[a, 2] + 8 * y, cell[a, 3] + 4 * x]
        for y in range(3)
        for x in range(2)
        for a in range(3)
    ]
    np.testing.assert_allclose(level_anchors(cell, height=3, width=2, stride=(8, 4)), expected)


@pytest.mark.parametrize(("from_image", "stride"), [(False, 64), (True, 61)])
def test_strides_of_sizes_that_are_not_divisible(from_image: bool, stride: int) -> None:
    levels = pyramid_anchors(
        [(13, 13)], (800, 800), strides=(64,), sizes=(512.0,), ratios=(1.0,), strides_from_image=from_image
    )
    centres = np.array(levels[0]).reshape(13, 13, 2, 2).mean(axis=2)
    np.testing.assert_array_equal(centres[0, 0], [0, 0])
    np.testing.assert_array_equal(centres[12, 5], [12 * stride, 5 * stride])
