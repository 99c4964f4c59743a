"""Non-maximum suppression: exact, batched, of fixed size."""

from typing import Any

from keras import ops

from zoo.models.mask_rcnn.boxes import iou
from zoo.models.mask_rcnn.rows import NO_SCORE


def non_maximum_suppression(boxes: Any, scores: Any, *, iou_threshold: float, groups: Any = None) -> Any:
    """Which boxes greedy suppression keeps: from the best score down, each that overlaps no kept one too much.

        keep[i] = not any_j (keep[j] and j is better than i and iou(i, j) > iou_threshold)

    The rule is applied to all boxes at once until nothing changes. Its fixed point is unique and is the
    greedy result: after t rounds the t best boxes are settled, by induction, so N rounds suffice (a few in
    practice: as many as the longest chain of suppressions). Of equal scores the first is the better.

    Memory: a few [B, N, N] float32, that is 16 MB an image each at N = 2000.

    Args:
        boxes: [B, N, 4] (ymin, xmin, ymax, xmax), absolute pixels.
        scores: [B, N]; boxes of score -inf are padding: not kept, and they suppress nothing.
        iou_threshold: Above it, the worse of two boxes goes.
        groups: [B, N], or None. Boxes of different groups (classes, levels) don't suppress each other.

    Returns:
        [B, N] bool.

    >>> import numpy as np
    >>> boxes = ops.array([[[0.0, 0, 10, 10], [0, 1, 10, 11], [40, 40, 50, 50]]])
    >>> np.array(non_maximum_suppression(boxes, ops.array([[0.6, 0.9, 0.1]]), iou_threshold=0.5)).tolist()
    [[False, True, True]]
    """
    suppresses = ops.cast(_can_suppress(boxes, scores, iou_threshold=iou_threshold, groups=groups), "float32")
    is_box = ops.cast(scores > NO_SCORE, "float32")

    def step(keep: Any, _: Any) -> tuple[Any, Any]:
        kept_above = ops.squeeze(ops.matmul(ops.expand_dims(keep, -2), suppresses), -2)
        settled = ops.where(kept_above > 0, 0.0, is_box)
        return settled, ops.any(settled != keep)

    keep, _ = ops.while_loop(lambda _, changed: changed, step, (is_box, ops.any(is_box > 0)))
    return keep > 0


def _can_suppress(boxes: Any, scores: Any, *, iou_threshold: float, groups: Any) -> Any:
    """[B, N, N] bool: whether j (row), if it is kept, suppresses i (column)."""
    count = ops.shape(scores)[-1]
    places = ops.arange(count, dtype="int32")
    row, column = ops.expand_dims(scores, -1), ops.expand_dims(scores, -2)
    is_first = ops.expand_dims(places, -1) < ops.expand_dims(places, -2)
    is_better = (row > column) | ((row == column) & is_first)
    suppresses = is_better & (iou(boxes, boxes) > iou_threshold)
    if groups is not None:
        suppresses = suppresses & (ops.expand_dims(groups, -1) == ops.expand_dims(groups, -2))
    return suppresses
