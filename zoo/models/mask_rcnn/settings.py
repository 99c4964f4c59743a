"""Every number of Mask R-CNN that is not a weight, with the paper's values, and torchvision's."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from zoo.errors import UserError
from zoo.models.mask_rcnn.anchors import RATIOS, SIZES
from zoo.models.mask_rcnn.matcher import CROWD_COVERS
from zoo.models.mask_rcnn.roi_align import check_sampling_ratio
from zoo.models.options import is_like


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The detector's numbers. The defaults are detectron2's for FPN, see docs/conventions.md; `C4` has those without.

    Args:
        anchor_sizes: Of p2 to p6, pixels, see `cell_anchors`; on c4 all of them.
        anchor_ratios: Height / width.
        anchors_rounded: See `cell_anchors`.
        anchor_strides_from_image: See `pyramid_anchors`.
        rpn_positive_from: IoU from which an anchor is positive.
        rpn_negative_below: IoU below which it is negative.
        rpn_sample: Anchors an image in the loss.
        rpn_positive_share: Greatest share of positives.
        rpn_beta: Of `smooth_l1`.
        rpn_loss_per_sample_size: Whether the RPN's losses are divided by `rpn_sample` an image, filled or not
            (detectron2), or by the anchors sampled (torchvision).
        proposals_of_level: Of each level before suppression: in training, else.
        proposals_of_image: After it: in training, else.
        proposal_iou: Of the suppression.
        proposal_smallest_side: Pixels.
        region_positive_from: IoU with an object from which a region is positive; below, it is negative.
        region_sample: Regions an image in the loss.
        region_positive_share: Greatest share of positives; only they train the mask head.
        box_beta: Of `smooth_l1`.
        crowd_covers: Share of an anchor or region above which a crowd makes it ignored; None: crowds don't
            count. See `match`.
        sampling_ratio: Of ROIAlign.
        aligned: Of ROIAlign.
        masks_binary: Of `crop_masks`.
        score_threshold: Least probability of a detection.
        detection_iou: Of the suppression, class by class.
        detections: Most detections an image.
        detection_candidates: See `select_detections`.
        detection_smallest_side: Pixels.

    Raises:
        UserError: If a value is out of its range.

    >>> Settings(**TORCHVISION).aligned
    False
    """

    anchor_sizes: tuple[float, ...] = SIZES
    anchor_ratios: tuple[float, ...] = RATIOS
    anchors_rounded: bool = False
    anchor_strides_from_image: bool = False
    rpn_positive_from: float = 0.7
    rpn_negative_below: float = 0.3
    rpn_sample: int = 256
    rpn_positive_share: float = 0.5
    rpn_beta: float = 0.0
    rpn_loss_per_sample_size: bool = True
    proposals_of_level: tuple[int, int] = (2000, 1000)
    proposals_of_image: tuple[int, int] = (1000, 1000)
    proposal_iou: float = 0.7
    proposal_smallest_side: float = 0.0
    region_positive_from: float = 0.5
    region_sample: int = 512
    region_positive_share: float = 0.25
    box_beta: float = 0.0
    crowd_covers: float | None = CROWD_COVERS
    sampling_ratio: int = 2
    aligned: bool = True
    masks_binary: bool = True
    score_threshold: float = 0.05
    detection_iou: float = 0.5
    detections: int = 100
    detection_candidates: int = 2000
    detection_smallest_side: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not is_like(value, field.default) and not (value is None and field.name == "crowd_covers"):
                raise UserError(f"`{field.name}` must be such as {field.default!r}. Received: {field.name}={value!r}")
        check_sampling_ratio(self.sampling_ratio)
        for name, length, rule in _LENGTHS:
            value = getattr(self, name)
            if (len(value) != length) if length else not value:
                raise UserError(f"`{name}` must have {rule}. Received: {name}={value!r}")
        for name in ("anchor_sizes", "anchor_ratios", *_COUNTS):
            values = getattr(self, name)
            if not all(value > 0 for value in (values if isinstance(values, tuple | list) else [values])):
                raise UserError(f"`{name}` must be above 0. Received: {name}={values!r}")
        for name in _SHARES:
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UserError(f"`{name}` must be from 0 to 1. Received: {name}={value!r}")

    @classmethod
    def names(cls) -> list[str]:
        """The names of all settings."""
        return [field.name for field in fields(cls)]


# None: any number of them.
_LENGTHS = (
    ("anchor_sizes", len(SIZES), f"{len(SIZES)} sizes, of p2 to p6"),
    ("anchor_ratios", None, "one or more"),
    ("proposals_of_level", 2, "two numbers, for training and else"),
    ("proposals_of_image", 2, "two numbers, for training and else"),
)
_COUNTS = (
    "rpn_sample",
    "region_sample",
    "proposals_of_level",
    "proposals_of_image",
    "detections",
    "detection_candidates",
)
_SHARES = (
    "rpn_positive_from",
    "rpn_negative_below",
    "rpn_positive_share",
    "proposal_iou",
    "region_positive_from",
    "region_positive_share",
    "crowd_covers",
    "score_threshold",
    "detection_iou",
)

# Where Mask R-CNN on C4 differs from the defaults: 64 regions an image and 300 at test time (arXiv 1703.06870, section
# 3.1), of the 2000 and 6000 best anchors of Faster R-CNN. Its 12000 in training would take 576 MB for each of the
# tables of all pairs that suppression needs: 6000.
C4: Mapping[str, Any] = {
    "proposals_of_level": (6000, 6000),
    "proposals_of_image": (2000, 300),
    "region_sample": 64,
}

# Where torchvision's maskrcnn_resnet50_fpn differs from the defaults (version 0.14).
TORCHVISION: Mapping[str, Any] = {
    "anchors_rounded": True,
    "anchor_strides_from_image": True,
    "rpn_beta": 1 / 9,
    "rpn_loss_per_sample_size": False,
    "proposals_of_image": (2000, 1000),
    "proposal_smallest_side": 1e-3,
    "box_beta": 1 / 9,
    "crowd_covers": None,
    "aligned": False,
    "masks_binary": False,
    "detection_smallest_side": 1e-2,
}
