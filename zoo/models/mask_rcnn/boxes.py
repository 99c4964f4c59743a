"""Boxes and the numbers that a network predicts for them.

Boxes are [..., 4] (ymin, xmin, ymax, xmax) in absolute pixels everywhere: edges, not centres of pixels, so that
a box that covers the pixels 0 to 9 is (0, 0, 10, 10) and is 10 pixels high, without a "+ 1".
"""

import math
from typing import Any

from keras import ops

# Of (dy, dx, dh, dw): what the box head's deltas are multiplied with (Fast R-CNN normalizes its targets by
# standard deviations 0.1 and 0.2).
BOX_HEAD_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
# A predicted side may be at most this many times as long as its reference (Detectron: 1000 / 16 pixels).
MAX_LOG_SCALE = math.log(1000.0 / 16)
# Sides below this many pixels count as this many when boxes are encoded, so that no logarithm is infinite.
SMALLEST_SIDE = 1e-6


def split(boxes: Any) -> tuple[Any, Any, Any, Any]:
    """ymin, xmin, ymax, xmax: four tensors [...] of boxes [..., 4]."""
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]


def area(boxes: Any) -> Any:
    """(ymax - ymin) (xmax - xmin), 0 where a side is negative.

    Args:
        boxes: [..., 4] (ymin, xmin, ymax, xmax), absolute pixels.

    Returns:
        [...], square pixels.

    >>> float(area(ops.array([1.0, 2.0, 4.0, 12.0])))
    30.0
    """
    ymin, xmin, ymax, xmax = split(boxes)
    return ops.maximum(ymax - ymin, 0) * ops.maximum(xmax - xmin, 0)


def intersection(a: Any, b: Any) -> Any:
    """Areas of the overlaps of all pairs.

    Args:
        a: [..., N, 4] (ymin, xmin, ymax, xmax), absolute pixels.
        b: [..., M, 4].

    Returns:
        [..., N, M], square pixels.

    >>> float(intersection(ops.array([[0.0, 0, 4, 4]]), ops.array([[2.0, 3, 9, 9]]))[0, 0])
    2.0
    """
    ymin, xmin, ymax, xmax = split(ops.expand_dims(a, -2))
    other_ymin, other_xmin, other_ymax, other_xmax = split(ops.expand_dims(b, -3))
    height = ops.minimum(ymax, other_ymax) - ops.maximum(ymin, other_ymin)
    width = ops.minimum(xmax, other_xmax) - ops.maximum(xmin, other_xmin)
    return ops.maximum(height, 0) * ops.maximum(width, 0)


def iou(a: Any, b: Any) -> Any:
    """Intersection over union of all pairs; 0 where both boxes are empty, never NaN.

    Args:
        a: [..., N, 4] (ymin, xmin, ymax, xmax), absolute pixels.
        b: [..., M, 4].

    Returns:
        [..., N, M] in [0, 1].

    >>> float(iou(ops.array([[0.0, 0, 2, 2]]), ops.array([[0.0, 1, 2, 3]]))[0, 0])  # 2 of 6
    0.3333333432674408
    """
    overlap = intersection(a, b)
    union = ops.expand_dims(area(a), -1) + ops.expand_dims(area(b), -2) - overlap
    return ops.where(union > 0, overlap / ops.where(union > 0, union, 1), 0)


def share_covered(a: Any, b: Any) -> Any:
    """Intersection over the area of a box of `a`: how much of it each box of `b` covers; 0 for an empty one.

    Args:
        a: [..., N, 4] (ymin, xmin, ymax, xmax), absolute pixels.
        b: [..., M, 4].

    Returns:
        [..., N, M] in [0, 1].

    >>> float(share_covered(ops.array([[0.0, 0, 2, 2]]), ops.array([[0.0, 1, 9, 9]]))[0, 0])
    0.5
    """
    own = ops.expand_dims(area(a), -1)
    return ops.where(own > 0, intersection(a, b) / ops.where(own > 0, own, 1), 0)


def clip(boxes: Any, image_size: Any) -> Any:
    """Boxes cut to the image: y to [0, height], x to [0, width].

    A box outside the image becomes an empty one on its border.

    Args:
        boxes: [B, N, 4] (ymin, xmin, ymax, xmax), absolute pixels.
        image_size: [B, 2] (height, width) in pixels.

    >>> import numpy as np
    >>> np.array(clip(ops.array([[[-5.0, 2, 30, 9]]]), ops.array([[20.0, 40]]))).tolist()
    [[[0.0, 2.0, 20.0, 9.0]]]
    """
    size = ops.cast(image_size, boxes.dtype)
    limits = ops.expand_dims(ops.concatenate([size, size], axis=-1), -2)
    return ops.minimum(ops.maximum(boxes, 0), limits)


def are_larger(boxes: Any, side: float) -> Any:
    """Whether both sides are above 0 and at least `side` pixels: [...] bool of boxes [..., 4]."""
    ymin, xmin, ymax, xmax = split(boxes)
    height, width = ymax - ymin, xmax - xmin
    return (height > 0) & (width > 0) & (height >= side) & (width >= side)


def encode(boxes: Any, references: Any, *, weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)) -> Any:
    """The deltas that lead from `references` to `boxes`; the inverse of `decode`.

        dy = wy (yc - yc_ref) / h_ref        dh = wh log(h / h_ref)
        dx = wx (xc - xc_ref) / w_ref        dw = ww log(w / w_ref)

    with (yc, xc) the centre and (h, w) the sides, taken as at least `SMALLEST_SIDE`. (R-CNN, arXiv
    1311.2524, appendix C. The order is that of the box's coordinates; the papers' code has x first.)

    Args:
        boxes: [..., 4] (ymin, xmin, ymax, xmax), absolute pixels.
        references: [..., 4], anchors or proposals.
        weights: (wy, wx, wh, ww).

    Returns:
        [..., 4] (dy, dx, dh, dw), float32.

    >>> import numpy as np
    >>> np.array(encode(ops.array([3.0, 0, 5, 2]), ops.array([0.0, 0, 2, 2]))).tolist()
    [1.5, 0.0, 0.0, 0.0]
    """
    yc, xc, height, width = _centre_form(boxes)
    yc_ref, xc_ref, height_ref, width_ref = _centre_form(references)
    deltas = [
        (yc - yc_ref) / height_ref,
        (xc - xc_ref) / width_ref,
        ops.log(height / height_ref),
        ops.log(width / width_ref),
    ]
    return ops.stack(deltas, axis=-1) * ops.convert_to_tensor(weights, "float32")


def decode(deltas: Any, references: Any, *, weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)) -> Any:
    """The boxes to which `deltas` lead from `references`; the inverse of `encode`.

        yc = yc_ref + h_ref dy / wy          h = h_ref exp(min(dh / wh, log(1000 / 16)))
        xc = xc_ref + w_ref dx / wx          w = w_ref exp(min(dw / ww, log(1000 / 16)))

    Args:
        deltas: [..., 4] (dy, dx, dh, dw).
        references: [..., 4] (ymin, xmin, ymax, xmax), absolute pixels; anchors or proposals.
        weights: (wy, wx, wh, ww).

    Returns:
        [..., 4] (ymin, xmin, ymax, xmax), absolute pixels, not clipped to the image; float32.

    >>> import numpy as np
    >>> np.array(decode(ops.array([1.5, 0, 0, 0]), ops.array([0.0, 0, 2, 2]))).tolist()
    [3.0, 0.0, 5.0, 2.0]
    """
    dy, dx, dh, dw = split(ops.cast(deltas, "float32") / ops.convert_to_tensor(weights, "float32"))
    yc_ref, xc_ref, height_ref, width_ref = _centre_form(references, smallest=0.0)
    yc, xc = yc_ref + dy * height_ref, xc_ref + dx * width_ref
    half_height = ops.exp(ops.minimum(dh, MAX_LOG_SCALE)) * height_ref / 2
    half_width = ops.exp(ops.minimum(dw, MAX_LOG_SCALE)) * width_ref / 2
    return ops.stack([yc - half_height, xc - half_width, yc + half_height, xc + half_width], axis=-1)


def _centre_form(boxes: Any, *, smallest: float = SMALLEST_SIDE) -> tuple[Any, Any, Any, Any]:
    ymin, xmin, ymax, xmax = split(ops.cast(boxes, "float32"))
    height, width = ymax - ymin, xmax - xmin
    centre = ymin + height / 2, xmin + width / 2
    return *centre, ops.maximum(height, smallest), ops.maximum(width, smallest)
