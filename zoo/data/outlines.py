"""Outlines of objects, polygons or run lengths as COCO stores them, and their bitmaps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as rle


@dataclass(frozen=True, eq=False)
class Polygons:
    """What is inside of any of the parts.

    Attributes:
        parts: float64 [2 P] each, P >= 3 corners x0, y0, x1, y1, ... in pixels from the image's upper left edge.
    """

    parts: tuple[np.ndarray, ...]

    def as_coco(self) -> list[list[float]]:
        """The "segmentation" of an annotation."""
        return [part.tolist() for part in self.parts]


@dataclass(frozen=True, eq=False)
class Runs:
    """Pixels of a column-major image, in runs that are in turn outside and inside, the first one outside.

    Attributes:
        ends: int32 [R], where each run ends; the last is height * width.
        size: (height, width) of the image in pixels.
    """

    ends: np.ndarray
    size: tuple[int, int]

    def as_coco(self) -> dict[str, Any]:
        """The "segmentation" of an annotation."""
        return {"size": list(self.size), "counts": np.diff(self.ends, prepend=0).tolist()}


Outline = Polygons | Runs


def parse_outline(segmentation: Any, size: tuple[int, int]) -> tuple[Outline | None, int]:
    """The outline in an annotation's "segmentation", and how many polygons of it can't be used.

    A polygon needs three corners, so six finite numbers or more, an even count. Run lengths (a list, or COCO's
    compressed string) must add up to the image's size. Where nothing can be used, the outline is None.

    Args:
        segmentation: as JSON gives it: polygons [[x0, y0, ...], ...], run lengths {"size": [height, width], "counts":
            list or str}, or anything else.
        size: (height, width) of the image in pixels.

    >>> outline, unusable = parse_outline([[0, 0, 4, 0, 4, 4], [1, 1, 2, 2]], (8, 8))
    >>> len(outline.parts), unusable
    (1, 1)
    """
    if isinstance(segmentation, dict):
        return _parse_runs(segmentation, size), 0
    if not isinstance(segmentation, list) or not segmentation:
        return None, 0
    # Some tools write the numbers of a single polygon without the list around it.
    polygons = segmentation if isinstance(segmentation[0], list) else [segmentation]
    parts = tuple(part for part in map(_parse_polygon, polygons) if part is not None)
    return Polygons(parts) if parts else None, len(polygons) - len(parts)


def _parse_polygon(numbers: Any) -> np.ndarray | None:
    try:
        part = np.asarray(numbers, np.float64)
    except (TypeError, ValueError):
        return None
    is_polygon = part.ndim == 1 and part.size >= 6 and part.size % 2 == 0
    return part if is_polygon and np.isfinite(part).all() else None


def _parse_runs(segmentation: dict[str, Any], size: tuple[int, int]) -> Runs | None:
    counts = segmentation.get("counts")
    try:
        lengths = list(_decompressed(counts)) if isinstance(counts, str) else [int(count) for count in counts or ()]
    except (TypeError, ValueError, IndexError):
        return None
    is_whole = min(lengths, default=-1) >= 0 and sum(lengths) == size[0] * size[1]
    if not is_whole or list(segmentation.get("size", ())) != list(size):
        return None
    return Runs(np.cumsum(lengths, dtype=np.int32), size)


def _decompressed(counts: str) -> Iterator[int]:
    """Run lengths from COCO's string.

    Each character minus 48 has five bits of a number, the low ones first, and in bit 5 whether more follow; the highest
    bit of the last is the sign. From the fourth number on it is the difference to the number two before.
    Source: cocodataset/cocoapi, common/maskApi.c, rleFrString.
    """
    lengths: list[int] = []
    characters = iter(counts)
    for character in characters:
        number, shift, code = 0, 0, ord(character) - 48
        while code & 32:
            number |= (code & 31) << shift
            shift += 5
            code = ord(next(characters, "0")) - 48
        number |= (code & 31) << shift
        if code & 16:
            number -= 1 << (shift + 5)
        lengths.append(number + (lengths[-2] if len(lengths) > 2 else 0))
    return iter(lengths)


def rasterize(outlines: Sequence[Outline | None], windows: np.ndarray, *, side: int) -> np.ndarray:
    """Bitmaps of objects, each of which covers a part of the image of its own.

    Polygons are filled by pycocotools at the bitmap's resolution; of run lengths the pixel under the centre of a cell
    counts. The result takes n side^2 bytes, whatever the image's size.

    Args:
        outlines: of n objects; None gives zeros.
        windows: [n, 4] (ymin, xmin, ymax, xmax), absolute pixels, of positive size: what each bitmap covers.
        side: cells a side.

    Returns:
        uint8 [n, side, side], 0 and 1.

    >>> square, _ = parse_outline([[0, 0, 8, 0, 8, 8, 0, 8]], (16, 16))
    >>> rasterize([square], np.array([[0, 0, 16, 16]]), side=4).tolist()
    [[[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]
    """
    bitmaps = np.zeros([len(outlines), side, side], np.uint8)
    for bitmap, outline, window in zip(bitmaps, outlines, windows.astype(np.float64), strict=True):
        if isinstance(outline, Runs):
            bitmap[:] = _sample_runs(outline, window, side)
        elif outline is not None:
            bitmap[:] = _fill_polygons(outline, window, side)
    return bitmaps


def _fill_polygons(outline: Polygons, window: np.ndarray, side: int) -> np.ndarray:
    corner, size = window[1::-1], window[:1:-1] - window[1::-1]  # (x, y), (width, height)
    cells = [(part.reshape(-1, 2) - corner) * (side / size) for part in outline.parts]
    # pycocotools walks along the edges: what is far outside of the window would take it long, and shows nowhere.
    near = [part.clip(-10 * side, 10 * side).ravel() for part in cells]
    return np.asarray(rle.decode(rle.merge(rle.frPyObjects(near, side, side))))


def _sample_runs(outline: Runs, window: np.ndarray, side: int) -> np.ndarray:
    centres = (np.arange(side)[:, None] + 0.5) / side
    points = window[:2] + (window[2:] - window[:2]) * centres
    row, column = np.clip(points.astype(np.int64), 0, np.array(outline.size) - 1).T
    runs_before = np.searchsorted(outline.ends, column * outline.size[0] + row[:, None], side="right")
    return np.asarray(runs_before % 2, np.uint8)
