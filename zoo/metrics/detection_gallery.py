"""A picture of detections, or of annotated objects: boxes, masks, labels and scores on their images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

_COLOURS = colormaps["tab10"](range(10))[:, :3]  # of the objects of an image, one after another
_MASK_OPACITY = 0.45


@dataclass(frozen=True, eq=False)
class Picture:
    """An image and what is in it.

    Attributes:
        image: uint8 [H, W, 3].
        boxes: [N, 4] (ymin, xmin, ymax, xmax), absolute pixels.
        labels: N names.
        scores: [N] in [0, 1], or None.
        masks: [N, H, W] bool, or None.
        title: above the image.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: Sequence[str]
    scores: np.ndarray | None = None
    masks: np.ndarray | None = None
    title: str = ""


def draw_gallery(pictures: Sequence[Picture], *, columns: int = 3, width: float = 5.0) -> Figure:
    """The pictures, row after row; objects are drawn in their order, so later ones cover earlier ones.

    Args:
        pictures: at least one.
        columns: most pictures in a row.
        width: of a picture, inches.

    >>> picture = Picture(np.zeros([4, 6, 3], "uint8"), np.array([[1, 2, 3, 5]]), ["cat"], scores=np.array([0.914]))
    >>> draw_gallery([picture]).axes[0].texts[0].get_text()
    'cat 0.91'
    """
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    heights = [
        max(
            picture.image.shape[0] / picture.image.shape[1] for picture in pictures[row * columns : (row + 1) * columns]
        )
        for row in range(rows)
    ]
    size = (columns * width, width * sum(heights) + 0.4 * rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, picture in zip(panels.flat, pictures, strict=False):
        _draw(axes, picture)
    return figure


def _draw(axes: Axes, picture: Picture) -> None:
    height, width = picture.image.shape[:2]
    # Edges of pixels, not centres, are at whole numbers, as in boxes.
    axes.imshow(_with_masks(picture), extent=(0, width, height, 0))
    axes.set_title(picture.title, fontsize=9)
    for index, (box, label) in enumerate(zip(picture.boxes, picture.labels, strict=True)):
        ymin, xmin, ymax, xmax = (float(side) for side in box)
        colour = _COLOURS[index % len(_COLOURS)]
        axes.add_patch(Rectangle((xmin, ymin), xmax - xmin, ymax - ymin, fill=False, edgecolor=colour, linewidth=1.5))
        text = label if picture.scores is None else f"{label} {picture.scores[index]:.2f}"
        background = {"facecolor": colour, "edgecolor": "none", "alpha": 0.8, "pad": 1}
        axes.text(xmin, ymin, text, color="white", fontsize=7, va="top", bbox=background, clip_on=True)


def _with_masks(picture: Picture) -> np.ndarray:
    """The image, float [H, W, 3] in [0, 1], with each mask in its object's colour."""
    image = picture.image / 255
    for index, mask in enumerate(() if picture.masks is None else picture.masks):
        tinted = (1 - _MASK_OPACITY) * image + _MASK_OPACITY * _COLOURS[index % len(_COLOURS)]
        image = np.where(np.asarray(mask, bool)[..., np.newaxis], tinted, image)
    return np.asarray(image)
