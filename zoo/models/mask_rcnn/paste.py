"""Masks of detections, from their boxes' cells into the image's pixels."""

from typing import Any

from keras import ops

from zoo.models.mask_rcnn.boxes import SMALLEST_SIDE, split


def paste_masks(masks: Any, boxes: Any, *, size: tuple[int, int]) -> Any:
    """Each mask stretched over its box, by bilinear interpolation at the centres of the image's pixels.

    The centre of pixel y lies at (y + 0.5 - ymin) / (ymax - ymin) m - 0.5 of the mask's m rows; cells outside
    the mask count as 0. Threshold the result (0.5 in the paper) for a bitmap. This is detectron2's
    convention; torchvision first rounds boxes to whole pixels.

    The interpolation is two matrix products a mask, M' = Y M X^T with Y [height, m], X [width, m]. Memory: the
    result, that is 4 height width bytes a mask.

    Args:
        masks: [..., m, m] probabilities, or 0 and 1.
        boxes: [..., 4] (ymin, xmin, ymax, xmax), absolute pixels. Empty boxes give empty masks.
        size: (height, width) of the image in pixels.

    Returns:
        [..., height, width] float32.

    Source: Mask R-CNN, arXiv 1703.06870, section 3.1, "Inference".

    >>> import numpy as np
    >>> np.array(paste_masks(ops.ones((2, 2)), ops.array([1.0, 0, 3, 2]), size=(4, 3))).round(2).tolist()
    [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    ymin, xmin, ymax, xmax = split(ops.cast(boxes, "float32"))
    down = _interpolation(ymin, ymax - ymin, pixels=size[0], cells=masks.shape[-2])
    across = _interpolation(xmin, xmax - xmin, pixels=size[1], cells=masks.shape[-1])
    return ops.matmul(ops.matmul(down, ops.cast(masks, "float32")), ops.swapaxes(across, -1, -2))


def _interpolation(start: Any, extent: Any, *, pixels: int, cells: int) -> Any:
    """[..., pixels, cells]: the weight of each cell in each pixel, max(0, 1 - distance in cells); 0 outside the box."""
    centre = ops.arange(pixels, dtype="float32") + 0.5 - start[..., None]
    position = centre / ops.maximum(extent, SMALLEST_SIDE)[..., None] * cells - 0.5
    distance = ops.abs(position[..., None] - ops.arange(cells, dtype="float32"))
    return ops.maximum(1 - distance, 0.0) * ops.cast(extent > 0, "float32")[..., None, None]
