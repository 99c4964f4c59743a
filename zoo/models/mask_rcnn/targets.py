"""What the network should have answered, for the anchors and regions that the losses look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras import ops

from zoo.models.mask_rcnn.boxes import BOX_HEAD_WEIGHTS, are_larger, encode
from zoo.models.mask_rcnn.matcher import IGNORED, POSITIVE, match
from zoo.models.mask_rcnn.proposals import Proposals
from zoo.models.mask_rcnn.rows import take_rows
from zoo.models.mask_rcnn.sampler import sample
from zoo.models.mask_rcnn.settings import Settings


@dataclass(frozen=True)
class Objects:
    """The objects of each image, padded to G >= 1 rows.

    Args:
        boxes: [B, G, 4] (ymin, xmin, ymax, xmax), absolute pixels, float32.
        classes: [B, G] int32, 0 to K - 1; below 0 where a row is padding.
        is_object: [B, G] bool: to be found; neither padding, nor a crowd, nor an empty box.
        is_crowd: [B, G] bool.
    """

    boxes: Any
    classes: Any
    is_object: Any
    is_crowd: Any


def objects_of(inputs: Mapping[str, Any]) -> Objects:
    """The objects of a batch.

    Args:
        inputs: "boxes" [B, G, 4], "classes" [B, G] (-1: padding), and "crowd" [B, G] bool where there are any.

    >>> boxes, classes = ops.array([[[0.0, 0, 4, 4], [3.0, 3, 3, 9]]]), ops.array([[2, 5]])
    >>> [bool(row) for row in objects_of({"boxes": boxes, "classes": classes}).is_object[0]]  # the second is empty
    [True, False]
    """
    boxes, classes = ops.cast(inputs["boxes"], "float32"), ops.cast(inputs["classes"], "int32")
    is_row = classes >= 0
    is_crowd = ops.cast(inputs["crowd"], "bool") & is_row if "crowd" in inputs else ops.zeros_like(is_row)
    is_object = is_row & ops.logical_not(is_crowd) & are_larger(boxes, 0.0)
    return Objects(boxes=boxes, classes=classes, is_object=is_object, is_crowd=is_crowd)


@dataclass(frozen=True)
class AnchorTargets:
    """For S sampled anchors of each image.

    Args:
        index: [B, S] int32, which anchors.
        is_sampled: [B, S] bool: whether the slot is filled.
        is_positive: [B, S] bool.
        deltas: [B, S, 4] (dy, dx, dh, dw) to the object; meaningless where not positive, but finite.
    """

    index: Any
    is_sampled: Any
    is_positive: Any
    deltas: Any


def anchor_targets(anchors: Any, objects: Objects, random: Any, settings: Settings) -> AnchorTargets:
    """The region proposal network's targets (Faster R-CNN, arXiv 1506.01497, sections 3.1.2 and 3.1.3).

    Args:
        anchors: [N, 4] (ymin, xmin, ymax, xmax), absolute pixels, of all levels.
        objects: Of the batch.
        random: [B, N] numbers in [0, 1) by which the sample is drawn.
        settings: The thresholds and sizes.
    """
    matches = match(
        anchors,
        objects.boxes,
        objects.is_object,
        positive_from=settings.rpn_positive_from,
        negative_below=settings.rpn_negative_below,
        force_best=True,
        is_crowd=objects.is_crowd,
        crowd_covers=settings.crowd_covers,
    )
    drawn = sample(matches.labels, random, count=settings.rpn_sample, positive_share=settings.rpn_positive_share)
    goals = take_rows(objects.boxes, take_rows(matches.index, drawn.index))
    return AnchorTargets(
        index=drawn.index,
        is_sampled=drawn.is_filled,
        is_positive=drawn.is_filled & (take_rows(matches.labels, drawn.index) == POSITIVE),
        deltas=encode(goals, ops.take(anchors, drawn.index, axis=0)),
    )


@dataclass(frozen=True)
class RegionTargets:
    """For S sampled regions of each image, the positive ones first.

    Args:
        boxes: [B, S, 4] (ymin, xmin, ymax, xmax), absolute pixels: the regions.
        is_sampled: [B, S] bool: whether the slot is filled.
        classes: [B, S] int32: 0 the background, k + 1 the object class k.
        objects: [B, S] int32: which object; means something where `classes` is above 0.
        deltas: [B, S, 4] (dy, dx, dh, dw) to the object, weighted; finite everywhere.
    """

    boxes: Any
    is_sampled: Any
    classes: Any
    objects: Any
    deltas: Any

    @property
    def is_positive(self) -> Any:
        """[B, S] bool."""
        return self.classes > 0


def region_targets(proposals: Proposals, objects: Objects, random: Any, settings: Settings) -> RegionTargets:
    """The heads' targets. The objects' own boxes are among the regions, so that there are positives from the first
    step on (as in all published implementations; Fast R-CNN, arXiv 1504.08083, section 2.3, for the sample).

    Args:
        proposals: Of the region proposal network, [B, P].
        objects: Of the batch, [B, G].
        random: [B, P + G] numbers in [0, 1) by which the sample is drawn.
        settings: The thresholds and sizes.
    """
    boxes = ops.concatenate([proposals.boxes, objects.boxes], axis=1)
    is_region = ops.concatenate([proposals.are_filled, objects.is_object], axis=1)
    matches = match(
        boxes,
        objects.boxes,
        objects.is_object,
        positive_from=settings.region_positive_from,
        negative_below=settings.region_positive_from,
        is_crowd=objects.is_crowd,
        crowd_covers=settings.crowd_covers,
    )
    labels = ops.where(is_region, matches.labels, IGNORED)
    drawn = sample(labels, random, count=settings.region_sample, positive_share=settings.region_positive_share)
    chosen = take_rows(boxes, drawn.index)
    found = take_rows(matches.index, drawn.index)
    is_positive = drawn.is_filled & (take_rows(labels, drawn.index) == POSITIVE)
    return RegionTargets(
        boxes=chosen,
        is_sampled=drawn.is_filled,
        classes=ops.where(is_positive, take_rows(objects.classes, found) + 1, 0),
        objects=found,
        deltas=encode(take_rows(objects.boxes, found), chosen, weights=BOX_HEAD_WEIGHTS),
    )
