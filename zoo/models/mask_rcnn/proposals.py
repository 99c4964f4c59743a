"""From the region proposal network's outputs to the regions that the heads look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from zoo.models.mask_rcnn.boxes import are_larger, clip, decode
from zoo.models.mask_rcnn.nms import non_maximum_suppression
from zoo.models.mask_rcnn.rows import NO_SCORE, take_rows, top_rows


@dataclass(frozen=True)
class Proposals:
    """Regions of each image, the best first.

    Args:
        boxes: [B, P, 4] (ymin, xmin, ymax, xmax), absolute pixels, inside the image; zeros in empty slots.
        scores: [B, P] objectness logits, float32; -inf in empty slots.
    """

    boxes: Any
    scores: Any

    @property
    def are_filled(self) -> Any:
        """[B, P] bool: whether a slot holds a region."""
        return self.scores > NO_SCORE


def propose(
    objectness: Sequence[Any],
    deltas: Sequence[Any],
    anchors: Sequence[Any],
    image_size: Any,
    *,
    best_of_level: int = 1000,
    best_of_image: int = 1000,
    iou_threshold: float = 0.7,
    smallest_side: float = 0.0,
) -> Proposals:
    """The best regions of each image (FPN, arXiv 1612.03144, sections 4.1 and 5.2).

    On each level: the `best_of_level` anchors by objectness are moved by their deltas and clipped to the
    image; empty and small boxes go; non-maximum suppression. Then the best `best_of_image` of all levels of
    an image remain, as in torchvision and detectron2 (the first Detectron took them over all
    images of a batch while it trained). No gradient flows through.

    Args:
        objectness: Of each level, [B, N_l] logits.
        deltas: Of each level, [B, N_l, 4] (dy, dx, dh, dw).
        anchors: Of each level, [N_l, 4] (ymin, xmin, ymax, xmax), absolute pixels.
        image_size: [B, 2] (height, width) in pixels, without the batch's padding.
        best_of_level: The papers' 2000 in training, 1000 else.
        best_of_image: 1000 (torchvision 2000 in training); so many slots the result has.
        iou_threshold: Of the suppression.
        smallest_side: Boxes with a shorter side go. 0 in detectron2, 1e-3 in torchvision, pixels.

    >>> import numpy as np
    >>> objectness, anchors = ops.array([[0.5, 2.0]]), ops.array([[0.0, 0, 8, 8], [4, 4, 30, 30]])
    >>> image_size = ops.array([[16.0, 16.0]])
    >>> found = propose([objectness], [ops.zeros((1, 2, 4))], [anchors], image_size, best_of_image=3)
    >>> np.array(found.boxes).tolist()
    [[[4.0, 4.0, 16.0, 16.0], [0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 0.0, 0.0]]]
    """
    levels = [
        _propose_level(
            ops.stop_gradient(ops.cast(level_objectness, "float32")),
            ops.stop_gradient(ops.cast(level_deltas, "float32")),
            level_anchors,
            image_size,
            best=best_of_level,
            iou_threshold=iou_threshold,
            smallest_side=smallest_side,
        )
        for level_objectness, level_deltas, level_anchors in zip(objectness, deltas, anchors, strict=True)
    ]
    boxes = ops.concatenate([level.boxes for level in levels], axis=1)
    scores, index = top_rows(ops.concatenate([level.scores for level in levels], axis=1), best_of_image)
    is_filled = ops.expand_dims(scores > NO_SCORE, -1)
    return Proposals(boxes=ops.where(is_filled, take_rows(boxes, index), 0.0), scores=scores)


def _propose_level(
    objectness: Any,
    deltas: Any,
    anchors: Any,
    image_size: Any,
    *,
    best: int,
    iou_threshold: float,
    smallest_side: float,
) -> Proposals:
    known = objectness.shape[1]
    scores, index = top_rows(objectness, best if known is None else min(best, known))
    boxes = decode(take_rows(deltas, index), ops.take(anchors, index, axis=0))
    boxes = clip(boxes, image_size)
    scores = ops.where(are_larger(boxes, smallest_side), scores, NO_SCORE)
    keep = non_maximum_suppression(boxes, scores, iou_threshold=iou_threshold)
    return Proposals(boxes=boxes, scores=ops.where(keep, scores, NO_SCORE))
