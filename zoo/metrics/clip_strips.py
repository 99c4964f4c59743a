"""A picture of clips: frames of each in a row, and what was said of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

_RIGHT, _WRONG = "tab:green", "tab:red"


@dataclass(frozen=True, eq=False)
class ClipStrip:
    """A clip and its classes.

    Attributes:
        clip: uint8 [T, H, W, 3].
        label: the true class.
        prediction: the class found.
        probability: of it, from 0 to 1.
    """

    clip: np.ndarray
    label: str
    prediction: str
    probability: float


def draw_clips(strips: Sequence[ClipStrip], *, frames: int = 6, width: float = 1.8) -> Figure:
    """A row of frames for each clip, equally far apart, from its first to its last; mistakes have red titles.

    Args:
        strips: at least one.
        frames: most of them in a row.
        width: of a frame, inches.

    >>> strip = ClipStrip(np.zeros([8, 4, 6, 3], "uint8"), "archery", "bowling", 0.614)
    >>> draw_clips([strip]).axes[0].get_title(loc="left")
    'bowling 0.61 (archery)'
    """
    columns = min(frames, max(len(strip.clip) for strip in strips))
    heights = [width * strip.clip.shape[1] / strip.clip.shape[2] for strip in strips]
    figure = Figure(figsize=(columns * width, sum(heights) + 0.3 * len(strips)), layout="constrained")
    panels = figure.subplots(len(strips), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes in panels.flat:
        axes.set_axis_off()
    for row, strip in zip(panels, strips, strict=True):
        places = np.linspace(0, len(strip.clip) - 1, min(columns, len(strip.clip))).round().astype(int)
        for axes, place in zip(row, places, strict=False):
            axes.imshow(strip.clip[place])
        right = strip.prediction == strip.label
        title = f"{strip.prediction} {strip.probability:.2f}" + ("" if right else f" ({strip.label})")
        row[0].set_title(title, loc="left", fontsize=9, color=_RIGHT if right else _WRONG)
    return figure
