"""Anchors: the boxes that the region proposal network scores and moves (Faster R-CNN, arXiv 1506.01497, 3.1.1)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

# Of p2 to p6: one size a level (FPN, arXiv 1612.03144, section 4.1).
SIZES = (32.0, 64.0, 128.0, 256.0, 512.0)
# Height / width.
RATIOS = (0.5, 1.0, 2.0)


def cell_anchors(size: float, ratios: Sequence[float] = RATIOS, *, rounded: bool = False) -> np.ndarray:
    """The anchors of one place, centred at (0, 0): sides h = size sqrt(r), w = size / sqrt(r), so h w = size^2.

    Args:
        size: Square root of the area, in pixels.
        ratios: Height / width of each.
        rounded: Whether the coordinates are rounded to whole pixels (halves to the even one), as
            torchvision does; detectron2 and the paper don't.

    Returns:
        [A, 4] (ymin, xmin, ymax, xmax), pixels from the place; float32, in the order of `ratios`.

    >>> cell_anchors(32, (1.0,)).tolist()
    [[-16.0, -16.0, 16.0, 16.0]]
    >>> cell_anchors(32, (0.5,), rounded=True).tolist()  # 22.6 x 45.3
    [[-11.0, -23.0, 11.0, 23.0]]
    """
    roots = np.sqrt(np.asarray(ratios, "float32"))
    height, width = np.float32(size) * roots, np.float32(size) / roots
    cell = np.stack([-height, -width, height, width], axis=-1) / 2
    return np.round(cell) if rounded else cell


def level_anchors(cell: np.ndarray, *, height: Any, width: Any, stride: tuple[Any, Any]) -> Any:
    """The anchors of a map: those of one place, moved to (row stride_y, column stride_x) for each place.

    The first place is the image's corner, not the centre of the map's first cell.

    Args:
        cell: [A, 4], from `cell_anchors`.
        height: Rows of the map.
        width: Columns of the map.
        stride: Vertical and horizontal distance of places in pixels.

    Returns:
        [height width A, 4] (ymin, xmin, ymax, xmax), absolute pixels, row by row, place by place, in the
        order of `cell`; float32. They may reach beyond the image.

    >>> import numpy as np
    >>> np.array(level_anchors(cell_anchors(2, (1.0,)), height=1, width=2, stride=(4, 4))).tolist()
    [[-1.0, -1.0, 1.0, 1.0], [-1.0, 3.0, 1.0, 5.0]]
    """
    y = ops.cast(ops.arange(height, dtype="int32") * stride[0], "float32")
    x = ops.cast(ops.arange(width, dtype="int32") * stride[1], "float32")
    y, x = ops.meshgrid(y, x, indexing="ij")
    places = ops.reshape(ops.stack([y, x, y, x], axis=-1), (-1, 1, 4))
    return ops.reshape(places + ops.convert_to_tensor(cell[None], "float32"), (-1, 4))


def pyramid_anchors(
    maps: Sequence[tuple[Any, Any]],
    image_size: tuple[Any, Any],
    *,
    strides: Sequence[int],
    sizes: Sequence[float | Sequence[float]] = SIZES,
    ratios: Sequence[float] = RATIOS,
    rounded: bool = False,
    strides_from_image: bool = False,
) -> list[Any]:
    """The anchors of each level of a feature pyramid, or of a single map.

    Args:
        maps: (height, width) of each level.
        image_size: (height, width) of the batch's images in pixels, padding included.
        strides: Of each level, in pixels.
        sizes: Of each level, one or several, see `cell_anchors`.
        ratios: Of every level, height / width.
        rounded: See `cell_anchors`.
        strides_from_image: Whether a level's strides are image size // map size, as torchvision computes them,
            instead of `strides`. They differ where a size is not divisible: 800 pixels give a p6 of 13 and
            a stride of 61 instead of 64.

    Returns:
        A tensor [N_l, 4] (ymin, xmin, ymax, xmax), absolute pixels, a level; see `level_anchors`. At each place
        come all ratios of the first size, then of the second, ...

    >>> [len(level) for level in pyramid_anchors([(4, 6), (2, 3)], (16, 24), strides=(4, 8), sizes=(8, 16))]
    [72, 18]
    """
    levels = []
    for (height, width), stride, size in zip(maps, strides, sizes, strict=True):
        steps = (image_size[0] // height, image_size[1] // width) if strides_from_image else (stride, stride)
        of_level = size if isinstance(size, Sequence) else (size,)
        cell = np.concatenate([cell_anchors(each, ratios, rounded=rounded) for each in of_level])
        levels.append(level_anchors(cell, height=height, width=width, stride=steps))
    return levels
