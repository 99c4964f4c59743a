"""Which candidate (anchor or proposal) belongs to which object, and which to none."""

from dataclasses import dataclass
from typing import Any

from keras import ops

from zoo.models.mask_rcnn.boxes import iou, share_covered

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
# A candidate of which a crowd region covers this share is ignored (Detectron's threshold).
CROWD_COVERS = 0.7


@dataclass(frozen=True)
class Matches:
    """What each of N candidates is.

    Args:
        labels: [B, N] int32: `POSITIVE`, `NEGATIVE` or `IGNORED`.
        index: [B, N] int32: the object with the greatest IoU, the first of several; it means something where
            the label is positive.
    """

    labels: Any
    index: Any


def match(
    candidates: Any,
    objects: Any,
    is_object: Any,
    *,
    positive_from: float,
    negative_below: float,
    force_best: bool = False,
    is_crowd: Any = None,
    crowd_covers: float | None = CROWD_COVERS,
) -> Matches:
    """Matches candidates with objects by v, the greatest IoU of a candidate with any object.

        label = POSITIVE if v >= positive_from, NEGATIVE if v < negative_below, else IGNORED

    In an image without objects every candidate is negative. The RPN's thresholds are 0.7 and 0.3 with
    `force_best` (Faster R-CNN, section 3.1.2), the box head's 0.5 and 0.5 (Fast R-CNN, section 2.3).

    Memory: a few [B, N, G] float32, 26 MB an image each for the 65,472 anchors of 512 x 512 pixels and G = 100.

    Args:
        candidates: [N, 4] or [B, N, 4] (ymin, xmin, ymax, xmax), absolute pixels.
        objects: [B, G, 4], G >= 1; rows that pad the batch may hold anything finite.
        is_object: [B, G] bool: whether a row is an object to find, neither padding nor a crowd.
        positive_from: Least IoU of a positive.
        negative_below: IoU below which a candidate is negative.
        force_best: Whether each object's best candidates (all of equal IoU, which is above 0) are positive
            whatever their IoU. As in both reference implementations, `index` still is the candidate's own
            best object.
        is_crowd: [B, G] bool: whether a row outlines a crowd. Candidates that would be negative are ignored
            where a crowd covers them.
        crowd_covers: Least share of the candidate's area for that; None: crowds don't count, as in
            torchvision and detectron2, which drop them.

    >>> import numpy as np
    >>> candidates = ops.array([[0.0, 0, 10, 10], [0, 0, 10, 6], [50, 50, 60, 60]])
    >>> found = match(candidates, candidates[None, :1], ops.array([[True]]), positive_from=0.7, negative_below=0.3)
    >>> np.array(found.labels).tolist()
    [[1, -1, 0]]
    """
    if len(candidates.shape) == 2:
        candidates = ops.expand_dims(candidates, 0)
    valid = ops.expand_dims(is_object, -2)
    # -1 keeps padding from being any candidate's best.
    quality = ops.where(valid, iou(candidates, objects), -1.0)
    best = ops.max(quality, axis=-1)
    labels = ops.where(best >= positive_from, POSITIVE, ops.where(best < negative_below, NEGATIVE, IGNORED))
    if is_crowd is not None and crowd_covers is not None:
        covered = (share_covered(candidates, objects) >= crowd_covers) & ops.expand_dims(is_crowd, -2)
        labels = ops.where(ops.any(covered, axis=-1) & (labels == NEGATIVE), IGNORED, labels)
    if force_best:
        of_object = ops.max(quality, axis=-2, keepdims=True)
        is_best = ops.any((quality == of_object) & (of_object > 0), axis=-1)
        labels = ops.where(is_best, POSITIVE, labels)
    return Matches(labels=ops.cast(labels, "int32"), index=ops.cast(ops.argmax(quality, axis=-1), "int32"))
