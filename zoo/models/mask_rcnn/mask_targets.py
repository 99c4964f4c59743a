"""What the mask head should answer: the object's mask, cropped to the region and resized."""

from typing import Any

from keras import ops

from zoo.models.mask_rcnn.boxes import SMALLEST_SIDE, split
from zoo.models.mask_rcnn.roi_align import sample_windows
from zoo.models.mask_rcnn.rows import take_rows


def crop_masks(
    masks: Any,
    windows: Any,
    boxes: Any,
    index: Any,
    *,
    bins: int = 28,
    sampling_ratio: int = 2,
    aligned: bool = True,
    binary: bool = True,
) -> Any:
    """Object `index[b, r]`'s mask inside region `boxes[b, r]`, on `bins` x `bins` cells, by `roi_align`.

    A bitmap may cover the whole image (window (0, 0, H, W)) or any part of it, such as the object's own box:
    then 100 objects at 112 x 112 are 1.2 MB an image whatever its size. Outside the window the mask is 0
    (but for half a cell of the bitmap around it).

    Args:
        masks: [B, G, h, w], 0 or 1, any dtype: bitmap of each object.
        windows: [B, G, 4] (ymin, xmin, ymax, xmax), absolute pixels: the part of the image that it covers.
        boxes: [B, R, 4] (ymin, xmin, ymax, xmax), absolute pixels: the regions.
        index: [B, R] int32: the object of each region.
        bins: Cells a side.
        sampling_ratio: Samples a side of a cell. The reference implementations let it adapt to the region.
        aligned: See `roi_align`. torchvision: False.
        binary: Whether the means are rounded to 0 or 1 (from 0.5 on), as in detectron2; torchvision keeps them.

    Returns:
        [B, R, bins, bins] float32.

    >>> mask = ops.ones((1, 1, 4, 4))
    >>> box = ops.array([[[0.0, 0.0, 8.0, 8.0]]])
    >>> float(ops.mean(crop_masks(mask, box, ops.array([[[0.0, 0, 8, 32]]]), ops.array([[0]]), bins=4)))
    0.25
    """
    rows, columns = ops.shape(masks)[2], ops.shape(masks)[3]
    cropped = sample_windows(
        ops.reshape(masks, (ops.shape(masks)[0], -1, 1)),
        in_cells(boxes, take_rows(windows, index), rows=rows, columns=columns),
        first=ops.cast(index, "int32") * (rows * columns),
        height=ops.ones_like(index, dtype="int32") * rows,
        width=ops.ones_like(index, dtype="int32") * columns,
        bins=bins,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
    )
    cropped = ops.squeeze(cropped, -1)
    return ops.cast(cropped >= 0.5, "float32") if binary else cropped


def in_cells(boxes: Any, windows: Any, *, rows: Any, columns: Any) -> Any:
    """`boxes` in the cells of bitmaps of `rows` x `columns` that cover `windows`.

    Args:
        boxes: [..., 4] (ymin, xmin, ymax, xmax), absolute pixels.
        windows: [..., 4], absolute pixels; sides below `SMALLEST_SIDE` count as that.
        rows: Of a bitmap.
        columns: Of a bitmap.

    Returns:
        [..., 4] (ymin, xmin, ymax, xmax), cells from the bitmap's corner.
    """
    top, left, bottom, right = split(ops.cast(windows, "float32"))
    vertical = ops.cast(rows, "float32") / ops.maximum(bottom - top, SMALLEST_SIDE)
    horizontal = ops.cast(columns, "float32") / ops.maximum(right - left, SMALLEST_SIDE)
    ymin, xmin, ymax, xmax = split(ops.cast(boxes, "float32"))
    y = [(side - top) * vertical for side in (ymin, ymax)]
    x = [(side - left) * horizontal for side in (xmin, xmax)]
    return ops.stack([y[0], x[0], y[1], x[1]], axis=-1)
