"""Detections in the form of COCO's results files."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as rle

from zoo.files import write_json


def coco_results(
    image_id: int,
    *,
    boxes: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray,
    category_ids: Sequence[int],
    masks: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """The detections of one image as entries of a results file.

    Args:
        image_id: COCO's number of the image.
        boxes: [N, 4] (ymin, xmin, ymax, xmax), absolute pixels of the original image.
        scores: [N] in [0, 1].
        classes: [N] int, from 0; rows below 0 are empty and left out.
        category_ids: COCO's number of each class.
        masks: [N, H, W] bool, of the original image's size; None: boxes only.

    Returns:
        An entry a detection: image_id, category_id, score, bbox [x, y, width, height] in pixels, and segmentation (run
        lengths, `{"size": [H, W], "counts": str}`) with masks. All of it can be written as JSON.

    >>> box, score, name = np.array([[1, 2, 4, 8]]), np.array([0.5]), np.array([1])
    >>> coco_results(42, boxes=box, scores=score, classes=name, category_ids=[3, 18])
    [{'image_id': 42, 'category_id': 18, 'score': 0.5, 'bbox': [2.0, 1.0, 6.0, 3.0]}]
    """
    entries = []
    for row in np.flatnonzero(np.asarray(classes) >= 0):
        ymin, xmin, ymax, xmax = (float(side) for side in boxes[row])
        entry = {
            "image_id": int(image_id),
            "category_id": int(category_ids[int(classes[row])]),
            "score": float(scores[row]),
            "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
        }
        if masks is not None:
            entry["segmentation"] = encode_mask(masks[row])
        entries.append(entry)
    return entries


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """COCO's run lengths of a mask [H, W] of 0 and 1, column after column, as JSON can hold them.

    >>> encode_mask(np.ones([4, 5], bool))
    {'size': [4, 5], 'counts': '0d0'}
    """
    encoded = rle.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def write_results(path: str | os.PathLike[str], results: Sequence[Mapping[str, Any]]) -> None:
    """Writes entries of `coco_results`, of any number of images, as a results file, atomically."""
    write_json(path, list(results), indent=None)
