"""What benchmarks/torchvision_parity.py compares: each stage of the zoo's model with what torchvision's put out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.models.mask_rcnn.model import MaskRCNN
from zoo.models.mask_rcnn.paste import paste_masks

# What may differ at most; None: only printed.
BOUNDS: Mapping[str, float | None] = {
    "features, of the largest": 1e-4,
    "anchors, px": 1e-3,
    "proposals, px": 0.05,
    "class logits": 5e-3,
    "boxes, px": 0.05,
    "scores": 1e-3,
    "masks": 1e-3,
    "masks pasted by torchvision's rule": 1e-3,
    "discs pasted by ours, share of pixels": None,
    "four losses, relative": 1e-3,
    "mask loss, relative": 1e-3,
}
_LOSSES = {
    "objectness_loss": "loss_objectness",
    "anchor_box_loss": "loss_rpn_box_reg",
    "class_loss": "loss_classifier",
    "box_loss": "loss_box_reg",
    "mask_loss": "loss_mask",
}
Arrays = Mapping[str, np.ndarray]


def differences(model: MaskRCNN, expected: Arrays) -> dict[str, float]:
    """The largest difference of each stage, by the names of `BOUNDS`.

    Args:
        model: With the reference's weights; all anchors and regions are in the samples of its losses.
        expected: What torchvision_parity_reference.py wrote about one image.
    """
    image = {"image": expected["image"], "image_size": expected["image_size"].astype("float32")}
    pyramid = model.features(image["image"])
    objectness, deltas, anchors = model.score_anchors(pyramid, image["image"])
    proposals = model.propose(objectness, deltas, anchors, image["image_size"], learning=False)
    regions = np.array(proposals.boxes)[0, np.array(proposals.are_filled)[0]]
    logits = np.array(model.classify(pyramid, proposals.boxes)[0])[0, : len(regions)]
    region, away = nearest(regions, y_first(expected["proposals"]))
    return {
        "features, of the largest": max(relative(pyramid[name], expected[name]) for name in pyramid),
        "anchors, px": largest(np.concatenate(anchors), y_first(expected["anchors"])),
        "proposals, px": away,
        "class logits": largest(logits[region], expected["class_logits"]),
        **detection_differences(model(image), expected),
        **paste_differences(expected),
        **loss_differences(model, image, expected),
    }


def detection_differences(outputs: Mapping[str, Any], expected: Arrays) -> dict[str, float]:
    """Those of what the model puts out for the image."""
    count = int(outputs["num_detections"][0])
    found = {name: np.array(outputs[name])[0, :count] for name in ("boxes", "scores", "classes", "masks")}
    labels = found["classes"] + 1
    match, away = nearest(found["boxes"], y_first(expected["boxes"]), kinds=(labels, expected["labels"]))
    return {
        "boxes, px": away,
        "scores": largest(found["scores"][match], expected["scores"]),
        "masks": largest(found["masks"][match], expected["masks"]),
    }


def paste_differences(expected: Arrays) -> dict[str, float]:
    """torchvision's masks pasted by `paste_masks` into its rounded boxes; then discs, into rounded and exact ones."""
    boxes, masks, size = y_first(expected["boxes"]), expected["masks"], expected["pasted"].shape[1:]
    pasted = paste_as_torchvision(masks, boxes, size=size)
    y, x = np.meshgrid(*[np.linspace(-1, 1, masks.shape[-1])] * 2, indexing="ij")
    discs = np.broadcast_to(np.clip(1.3 - np.hypot(y, x), 0, 1), masks.shape)
    ours, theirs = (np.array(paste(discs, boxes, size=size)) >= 0.5 for paste in (paste_masks, paste_as_torchvision))
    return {
        "masks pasted by torchvision's rule": largest(pasted, expected["pasted"]),
        "discs pasted by ours, share of pixels": float((ours ^ theirs).sum() / (ours | theirs).sum()),
    }


def paste_as_torchvision(masks: np.ndarray, boxes: np.ndarray, *, size: tuple[int, ...]) -> Any:
    """`paste_masks` by torchvision's rule: masks get a border of zeros, boxes are stretched alike, cut to whole pixels
    (towards 0), and a pixel is added to their ends.
    """
    height, width = size
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    half = half * (masks.shape[-1] + 2) / masks.shape[-1]
    rounded = np.concatenate([np.trunc(centre - half), np.trunc(centre + half) + 1], axis=1)
    return paste_masks(np.pad(masks, ((0, 0), (1, 1), (1, 1))), rounded, size=(height, width))


def loss_differences(model: MaskRCNN, image: Arrays, expected: Arrays) -> dict[str, float]:
    """Those of the losses. torchvision samples the masks' targets as often as a region is large, we twice a cell."""
    objects, height, width = expected["object_masks"].shape
    targets = {
        "boxes": y_first(expected["object_boxes"])[None],
        "classes": expected["object_labels"][None] - 1,
        "masks": expected["object_masks"][None],
        "mask_windows": np.tile(np.array([0, 0, height, width], "float32"), (1, objects, 1)),
    }
    parts = model.loss_parts(model({**image, **targets}))
    errors = {name: relative(parts[name], expected[other]) for name, other in _LOSSES.items()}
    return {"mask loss, relative": errors.pop("mask_loss"), "four losses, relative": max(errors.values())}


def y_first(boxes: np.ndarray) -> np.ndarray:
    """(x1, y1, x2, y2) as (ymin, xmin, ymax, xmax)."""
    return boxes[:, [1, 0, 3, 2]]


def nearest(
    boxes: np.ndarray, others: np.ndarray, *, kinds: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, float]:
    """Which of `boxes` [N, 4] is each of `others` [M, 4], and the largest distance of a coordinate.

    The distance is infinite if one has no partner of its own, of the same kind where `kinds` [N] and [M] are given.

    >>> nearest(np.array([[0, 0, 4, 4], [0, 0, 9, 9]]), np.array([[0, 0, 9, 8.5], [0, 0, 4, 4]]))
    (array([1, 0]), 0.5)
    """
    distance = np.abs(boxes[:, None] - others[None]).max(axis=-1)
    if kinds is not None:
        distance = np.where(kinds[0][:, None] == kinds[1][None], distance, np.inf)
    partner = distance.argmin(axis=0)
    are_paired = len(boxes) == len(others) == len(set(partner))
    return partner, float(distance.min(axis=0).max()) if are_paired else np.inf


def largest(values: Any, others: np.ndarray) -> float:
    """The largest |value - other|."""
    return float(np.abs(np.array(values, "float64") - others).max())


def relative(values: Any, others: np.ndarray) -> float:
    """The largest |value - other|, of the largest |other|."""
    return largest(values, others) / float(np.abs(others).max())
