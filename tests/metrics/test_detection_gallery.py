"""The gallery shows every image with its boxes, masks, labels and scores where they belong."""

import numpy as np
import pytest

from zoo.metrics.detection_gallery import Picture, draw_gallery


def picture(*, height=20, width=30, scores=None, masks=None):
    image = np.full([height, width, 3], 100, "uint8")
    boxes = np.array([[2, 4, 10, 16], [5, 6, 18, 28]], "float32")
    return Picture(image, boxes, ["cat", "dog"], scores=scores, masks=masks, title="number 7")


def test_boxes_labels_and_scores():
    figure = draw_gallery([picture(scores=np.array([0.987, 0.5]))])
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["cat 0.99", "dog 0.50"]
    assert axes.get_title() == "number 7"
    rectangles = [patch.get_bbox().bounds for patch in axes.patches]
    assert rectangles == [(4, 2, 12, 8), (6, 5, 22, 13)]  # x, y, width, height
    assert tuple(axes.images[0].get_extent()) == (0, 30, 20, 0)


def test_masks_tint_their_pixels_and_no_others():
    masks = np.zeros([2, 20, 30], bool)
    masks[0, 3:6, 5:9] = True
    shown = draw_gallery([picture(masks=masks)]).axes[0].images[0].get_array()
    is_tinted = (np.abs(shown - 100 / 255) > 1e-6).any(axis=-1)
    np.testing.assert_array_equal(is_tinted, masks[0])


@pytest.mark.parametrize(("count", "panels"), [(1, 1), (2, 2), (4, 6), (7, 9)])
def test_rows_and_columns(count, panels, tmp_path):
    figure = draw_gallery([picture(height=20 + 5 * n) for n in range(count)])
    assert len(figure.axes) == panels
    assert sum(bool(axes.images) for axes in figure.axes) == count
    assert not any(axes.axison for axes in figure.axes)
    figure.savefig(tmp_path / "gallery.png")


def test_an_image_without_objects():
    empty = Picture(np.zeros([4, 4, 3], "uint8"), np.zeros([0, 4]), [], masks=np.zeros([0, 4, 4], bool))
    assert not draw_gallery([empty]).axes[0].texts
