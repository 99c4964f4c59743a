"""From the box head's outputs to detections."""

from dataclasses import dataclass
from typing import Any

from keras import ops

from zoo.models.mask_rcnn.boxes import BOX_HEAD_WEIGHTS, are_larger, clip, decode
from zoo.models.mask_rcnn.nms import non_maximum_suppression
from zoo.models.mask_rcnn.rows import NO_SCORE, take_rows, top_rows


@dataclass(frozen=True)
class Detections:
    """What was found in each image, the best first.

    Args:
        boxes: [B, D, 4] (ymin, xmin, ymax, xmax), absolute pixels; zeros in empty slots.
        scores: [B, D] probabilities; 0 in empty slots.
        classes: [B, D] int32, 0 to K - 1; -1 in empty slots.
        count: [B] int32: how many slots are filled, the first ones.
    """

    boxes: Any
    scores: Any
    classes: Any
    count: Any


def select_detections(
    regions: Any,
    are_filled: Any,
    class_logits: Any,
    box_deltas: Any,
    image_size: Any,
    *,
    score_threshold: float = 0.05,
    iou_threshold: float = 0.5,
    most: int = 100,
    candidates: int = 2000,
    smallest_side: float = 0.0,
) -> Detections:
    """The best detections of each image (Fast R-CNN, arXiv 1504.08083, section 3.1; FPN's numbers).

    Every region stands for each class once, with the class's probability and box. Those above
    `score_threshold` go through non-maximum suppression, class by class; the `most` best over all classes remain.

    Suppression looks at the `candidates` best only. The result is that of all of them if at most so many
    pass `score_threshold`, or if `most` of those looked at remain.

    Args:
        regions: [B, R, 4] (ymin, xmin, ymax, xmax), absolute pixels.
        are_filled: [B, R] bool: others are ignored.
        class_logits: [B, R, K + 1], class 0 is the background.
        box_deltas: [B, R, K, 4], or [B, R, 1, 4] for all classes.
        image_size: [B, 2] (height, width) in pixels, to which boxes are clipped.
        score_threshold: Least probability, exclusive.
        iou_threshold: Of the suppression.
        most: Detections per image; so many slots the result has.
        candidates: See above. Memory: a few [B, candidates, candidates] float32.
        smallest_side: Boxes with a shorter side go. 0 in detectron2, 1e-2 in torchvision, pixels.

    >>> logits = ops.array([[[0.0, 9.0, 0.0], [9.0, 0.0, 0.0]]])
    >>> regions = ops.array([[[0.0, 0, 8, 8], [4, 4, 9, 9]]])
    >>> found = select_detections(regions, ops.array([[True, True]]), logits, ops.zeros((1, 2, 2, 4)),
    ...                           ops.array([[16.0, 16.0]]), most=3)
    >>> int(found.count[0]), [int(number) for number in found.classes[0]]
    (1, [0, -1, -1])
    """
    regions_count, boxes_count = box_deltas.shape[1:3]
    classes = class_logits.shape[-1] - 1
    boxes = decode(box_deltas, ops.expand_dims(regions, -2), weights=BOX_HEAD_WEIGHTS)
    boxes = clip(ops.reshape(boxes, (-1, regions_count * boxes_count, 4)), image_size)
    is_large = ops.reshape(are_larger(boxes, smallest_side), (-1, regions_count, boxes_count))
    scores = ops.softmax(ops.cast(class_logits, "float32"), axis=-1)[..., 1:]
    is_candidate = (scores > score_threshold) & is_large & ops.expand_dims(are_filled, -1)
    scores = ops.reshape(ops.where(is_candidate, scores, NO_SCORE), (-1, regions_count * classes))
    scores, index = top_rows(scores, min(candidates, regions_count * classes))
    found = index % classes
    boxes = take_rows(boxes, index if boxes_count == classes else index // classes)
    keep = non_maximum_suppression(boxes, scores, iou_threshold=iou_threshold, groups=found)
    scores, index = top_rows(ops.where(keep, scores, NO_SCORE), most)
    is_filled = scores > NO_SCORE
    return Detections(
        boxes=ops.where(ops.expand_dims(is_filled, -1), take_rows(boxes, index), 0.0),
        scores=ops.where(is_filled, scores, 0.0),
        classes=ops.where(is_filled, take_rows(found, index), -1),
        count=ops.sum(ops.cast(is_filled, "int32"), axis=-1),
    )


def choose_class(values: Any, classes: Any) -> Any:
    """result[..., :] = values[..., k, :] with k the row's class, or 0 where all classes share one.

    Args:
        values: [B, R, K, ...] or [B, R, 1, ...].
        classes: [B, R] int; -1 (none) counts as 0.

    Returns:
        [B, R, ...].

    >>> int(choose_class(ops.array([[[7, 8, 9]]]), ops.array([[1]]))[0, 0])
    8
    """
    kinds = values.shape[2]
    rest = values.shape[3:]
    rows = values.shape[1]
    flat = ops.reshape(values, (-1, rows * kinds, *rest))
    chosen = ops.maximum(classes, 0) if kinds > 1 else ops.zeros_like(classes)
    return take_rows(flat, ops.arange(rows, dtype="int32") * kinds + ops.cast(chosen, "int32"))
