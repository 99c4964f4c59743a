"""ROIAlign: the features of a region, sampled on a grid by bilinear interpolation (arXiv 1703.06870, section 3)."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from zoo.errors import UserError
from zoo.models.mask_rcnn.boxes import area, split

# A region of this many pixels (square root of its area) is taken from this level (arXiv 1612.03144, equation 1).
CANONICAL_SIDE = 224.0
CANONICAL_LEVEL = 4
# Keeps log2 of an exact power of two from falling below it.
ROUNDING = 1e-6


def assign_levels(boxes: Any, *, lowest: int = 2, highest: int = 5) -> Any:
    """The level of the pyramid for each region: k = floor(4 + log2(sqrt(area) / 224)), within [lowest, highest].

    Empty boxes get the lowest level. Source: FPN, arXiv 1612.03144, equation 1. 1e-6 is added before
    rounding down, as in torchvision.

    Args:
        boxes: [..., 4] (ymin, xmin, ymax, xmax), absolute pixels.
        lowest: Level of the finest map.
        highest: Level of the coarsest map.

    Returns:
        [...] int32.

    >>> int(assign_levels(ops.array([0.0, 0, 224, 224]))), int(assign_levels(ops.array([0.0, 0, 224, 223])))
    (4, 3)
    """
    side = ops.sqrt(ops.maximum(area(ops.cast(boxes, "float32")), 1e-12))
    level = ops.floor(CANONICAL_LEVEL + ops.log2(side / CANONICAL_SIDE) + ROUNDING)
    return ops.cast(ops.clip(level, lowest, highest), "int32")


def roi_align(
    features: Sequence[Any],
    boxes: Any,
    *,
    strides: Sequence[int],
    bins: int,
    sampling_ratio: int = 2,
    aligned: bool = True,
    lowest: int = 2,
) -> Any:
    """The features of each region, on `bins` x `bins` cells, each the mean of `sampling_ratio`^2 samples.

    Each region is taken from one level, see `assign_levels`. Samples lie evenly inside a cell. A sample is
    the bilinear mean of its four neighbours, where features sit at the centres of their cells: one that is
    less than a cell outside the map counts as on its border, one further outside as zero.

    Gradients flow to the features, not to the boxes. Memory, in values: the result, a few of its size while
    it is summed up, one copy of the features, and for the gradient a few of both.

    Args:
        features: Of each level from the finest on, [B, H_l, W_l, C].
        boxes: [B, R, 4] (ymin, xmin, ymax, xmax), absolute pixels. An empty box samples one point.
        strides: Of each level, pixels a cell.
        bins: Cells a side: 7 for the box head, 14 for the mask head.
        sampling_ratio: Samples a side of a cell, 1 or more. The adaptive number (0) of Caffe2 and detectron2
            would depend on the values, which a static graph can't.
        aligned: True: pixel p's centre is p + 0.5, as in detectron2 ("ROIAlignV2"). False: half a pixel
            is not subtracted and regions are at least one cell large, as in the paper's code and torchvision.
        lowest: The level of `features[0]`.

    Returns:
        [B, R, bins, bins, C], in the features' dtype; the sums are float32.

    Raises:
        UserError: If `sampling_ratio` is not 1 or more.

    >>> ramp = ops.reshape(ops.arange(8, dtype="float32"), (1, 1, 8, 1)) * ops.ones((1, 8, 1, 1))
    >>> pooled = roi_align([ramp], ops.array([[[0.0, 8, 16, 24]]]), strides=(4,), bins=1)
    >>> float(pooled[0, 0, 0, 0, 0])  # x = 16 pixels = 4 cells = the border of cells 3 and 4
    3.5
    """
    check_sampling_ratio(sampling_ratio)
    level = assign_levels(boxes, lowest=lowest, highest=lowest + len(features) - 1) - lowest
    heights = [ops.shape(feature)[1] for feature in features]
    widths = [ops.shape(feature)[2] for feature in features]
    counts = [height * width for height, width in zip(heights, widths, strict=True)]
    starts = [sum(counts[:index]) for index in range(len(counts))]
    channels = features[0].shape[-1]
    pixels = ops.concatenate([ops.reshape(feature, (ops.shape(feature)[0], -1, channels)) for feature in features], 1)

    def of_level(values: Sequence[Any], dtype: str) -> Any:
        return ops.take(ops.stack([ops.cast(value, dtype) for value in values]), level, axis=0)

    windows = ops.cast(boxes, "float32") / ops.expand_dims(of_level(strides, "float32"), -1)
    pooled = sample_windows(
        pixels,
        windows,
        first=of_level(starts, "int32"),
        height=of_level(heights, "int32"),
        width=of_level(widths, "int32"),
        bins=bins,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
    )
    return ops.cast(pooled, pixels.dtype)


def sample_windows(
    pixels: Any,
    windows: Any,
    *,
    first: Any,
    height: Any,
    width: Any,
    bins: int,
    sampling_ratio: int = 2,
    aligned: bool = True,
) -> Any:
    """`roi_align` where every window has a map of its own, all maps of an image being one list of pixels.

    Args:
        pixels: [B, N, C] of any dtype: maps one behind the other, each row by row.
        windows: [B, R, 4] (ymin, xmin, ymax, xmax), cells of the window's map.
        first: [B, R] int32, where the window's map begins in `pixels`.
        height: [B, R] int32, rows of the window's map.
        width: [B, R] int32, its columns.
        bins: See `roi_align`.
        sampling_ratio: See `roi_align`.
        aligned: See `roi_align`.

    Returns:
        [B, R, bins, bins, C] float32.
    """
    windows = ops.stop_gradient(windows) - (0.5 if aligned else 0.0)
    ymin, xmin, ymax, xmax = split(windows)
    smallest = 0.0 if aligned else 1.0
    grid = {"bins": bins, "sampling_ratio": sampling_ratio}
    rows, row_weights = axis_taps(ymin, ops.maximum(ymax - ymin, smallest), height, **grid)
    columns, column_weights = axis_taps(xmin, ops.maximum(xmax - xmin, smallest), width, **grid)

    batch, count = ops.shape(pixels)[0], ops.shape(pixels)[1]
    flat = ops.reshape(pixels, (-1, pixels.shape[-1]))
    first = first + ops.expand_dims(ops.arange(batch, dtype="int32") * count, -1)
    row_starts = first[..., None, None] + rows * width[..., None, None]
    taps = []
    for i in range(2 * sampling_ratio):
        for j in range(2 * sampling_ratio):
            index = row_starts[..., :, None, i] + columns[..., None, :, j]
            weight = row_weights[..., :, None, i] * column_weights[..., None, :, j]
            taps.append((index, weight[..., None]))
    return _weighted_sum(flat, taps)


def _weighted_sum(flat: Any, taps: Sequence[tuple[Any, Any]]) -> Any:
    """Of rows of `flat` [N, C]: the sum of weight [..., 1] * flat[index [...]] over (index, weight); float32.

    The gradient adds up one tap after the other. TensorFlow's own would first put the rows of all of them behind each
    other, (2 sampling_ratio)^2 times the result, twice.
    """

    @ops.custom_gradient
    def weighted_sum(flat: Any) -> tuple[Any, Any]:
        total: Any = 0.0
        for index, weight in taps:
            total = total + weight * ops.cast(ops.take(flat, index, axis=0), "float32")

        def gradient(*arguments: Any, upstream: Any = None) -> Any:
            # Keras' backends differ in how they hand it over.
            upstream = arguments[0] if upstream is None else upstream
            total: Any = 0.0
            for index, weight in taps:
                rows = ops.reshape(weight * upstream, (-1, flat.shape[-1]))
                total = total + ops.segment_sum(rows, ops.reshape(index, (-1,)), num_segments=ops.shape(flat)[0])
            return ops.cast(total, flat.dtype)

        return total, gradient

    return weighted_sum(flat)


def axis_taps(start: Any, extent: Any, length: Any, *, bins: int, sampling_ratio: int) -> tuple[Any, Any]:
    """Which cells of one axis make up each bin, and their weights.

    Sample s of S = bins sampling_ratio lies at p = start + (s + 0.5) extent / S, 0 being the centre of the first
    cell. Clamped to [0, length - 1] it is between the cells floor(p) and floor(p) + 1, with weights 1 - f and f,
    f = p - floor(p), over `sampling_ratio`; both are 0 if p was below -1 or above `length`.

    Args:
        start: [...], cells.
        extent: [...], cells.
        length: [...] int32, cells of the axis.
        bins: How many.
        sampling_ratio: Samples a bin.

    Returns:
        index [..., bins, 2 sampling_ratio] int32, within the axis, and weight, of the same shape.
    """
    count = bins * sampling_ratio
    steps = ops.reshape((ops.arange(count, dtype="float32") + 0.5) / count, (bins, sampling_ratio))
    position = start[..., None, None] + steps * extent[..., None, None]
    last = ops.cast(length, "int32")[..., None, None] - 1
    border = ops.cast(last, "float32")
    is_inside = ops.cast((position >= -1) & (position <= border + 1), "float32")
    position = ops.clip(position, 0.0, border)
    low = ops.floor(position)
    upper = position - low
    index = ops.cast(low, "int32")
    weight = ops.concatenate([1 - upper, upper], axis=-1) * ops.concatenate([is_inside, is_inside], axis=-1)
    return ops.concatenate([index, ops.minimum(index + 1, last)], axis=-1), weight / sampling_ratio


def check_sampling_ratio(sampling_ratio: Any) -> None:
    """Refuses what is not an integer of 1 or more.

    Raises:
        UserError: If it is not.
    """
    if not isinstance(sampling_ratio, int) or isinstance(sampling_ratio, bool) or sampling_ratio < 1:
        raise UserError(
            "`sampling_ratio` must be an integer of 1 or more; 0, the number that adapts to the region, has no "
            f"static shape: use 2, as in the FPN recipes. Received: sampling_ratio={sampling_ratio!r}"
        )
