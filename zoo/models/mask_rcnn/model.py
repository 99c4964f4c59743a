"""Mask R-CNN (He et al., arXiv 1703.06870): one forward pass for training, evaluation and export."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import keras
from keras import ops

from zoo.errors import UserError
from zoo.models.mask_rcnn import losses
from zoo.models.mask_rcnn.anchors import pyramid_anchors
from zoo.models.mask_rcnn.mask_targets import crop_masks
from zoo.models.mask_rcnn.postprocess import Detections, choose_class, select_detections
from zoo.models.mask_rcnn.proposals import Proposals, propose
from zoo.models.mask_rcnn.roi_align import roi_align
from zoo.models.mask_rcnn.rows import take_rows
from zoo.models.mask_rcnn.settings import Settings
from zoo.models.mask_rcnn.targets import RegionTargets, anchor_targets, objects_of, region_targets

# The regions' features come from maps of up to 2^5 pixels a cell; p6 is for the proposals only.
COARSEST = 5
BOX_BINS = 7
MASK_BINS = 14


@keras.saving.register_keras_serializable(package="keras_gn")
class MaskRCNN(keras.Model):
    """Finds objects: boxes, classes, scores and masks. Without a mask head it is Faster R-CNN.

    Takes a batch as a dict:

    | key | shape | what |
    |---|---|---|
    | image | [B, H, W, C] float | standardized, padded at the bottom and on the right |
    | image_size | [B, 2] | (height, width) in pixels without the padding; left out: H, W |
    | boxes | [B, G, 4] float | objects, (ymin, xmin, ymax, xmax), absolute pixels; G >= 1 |
    | classes | [B, G] int | 0 to K - 1; -1 in rows that are padding |
    | crowd | [B, G] bool | rows that outline a crowd; may be left out |
    | masks | [B, G, h, w] | bitmap of each object, needed with a mask head |
    | mask_windows | [B, G, 4] | part of the image that each bitmap covers; left out: its box |

    Without "boxes" it detects, and returns

        boxes [B, D, 4] (ymin, xmin, ymax, xmax), absolute pixels of `image`; scores [B, D] in [0, 1];
        classes [B, D] int32, -1 in empty slots; num_detections [B] int32: the first so many are filled;
        masks [B, D, m, m] probabilities inside the box (see `paste_masks`), with a mask head; m is 28, on C4 14.

    With "boxes" it puts out what the losses need (`training` only says how the norms work), and `loss_parts` makes
    the losses of it. `compile(optimizer)` and `fit` train on the sum; each part has its metric.

    Args:
        features: image -> {"p2", ..., "p6"}, or {"c4"}. A cell of map n is 2^n pixels.
        rpn: See `heads.rpn_head`.
        box_head: See `heads.box_head` and `heads.mean_box_head`.
        mask_head: See `heads.mask_head`; None: boxes only.
        settings: All numbers; None: the papers'.
        seed: Of the random samples in the losses.
        trunk: What the two heads share, a region's features -> theirs: the residual network's last stage where it comes
            after ROIAlign ("C4"). None: each head has the features of ROIAlign, at a resolution of its own.

    Example: see `zoo.models.mask_rcnn.build.mask_rcnn`.
    """

    def __init__(
        self,
        *,
        features: keras.Model,
        rpn: keras.Model,
        box_head: keras.Model,
        mask_head: keras.Model | None = None,
        settings: Settings | None = None,
        seed: int | None = None,
        trunk: keras.Model | None = None,
        **kwargs: Any,
    ) -> None:
        # Boxes and sizes stay float32 under any precision policy; the parts cast for themselves.
        super().__init__(autocast=False, **kwargs)
        self.features = features
        self.rpn = rpn
        self.box_head = box_head
        self.mask_head = mask_head
        self.trunk = trunk
        self.maps = sorted(features.output)
        self.settings = settings or Settings()
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        names = [*_LOSSES, "mask_loss"] if mask_head is not None else _LOSSES
        self.loss_trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self.built = True

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        image_size = self.image_size(inputs)
        pyramid = self.features(inputs["image"], training=training)
        if "boxes" in inputs:
            return self._learn(inputs, pyramid, image_size, training=training)
        objectness, deltas, anchors = self.score_anchors(pyramid, inputs["image"], training=training)
        proposals = self.propose(objectness, deltas, anchors, image_size, learning=False)
        found = self.detect(pyramid, proposals, image_size, training=training)
        outputs = {
            "boxes": found.boxes,
            "scores": found.scores,
            "classes": found.classes,
            "num_detections": found.count,
        }
        if self.mask_head is not None:
            regions = self.region_features(pyramid, found.boxes, bins=MASK_BINS, training=training)
            outputs["masks"] = ops.sigmoid(self.mask_logits(regions, found.classes, training=training))
        return outputs

    def image_size(self, inputs: Mapping[str, Any]) -> Any:
        """[B, 2] float32 (height, width) in pixels of the images without their padding."""
        if "image_size" in inputs:
            return ops.cast(inputs["image_size"], "float32")
        batch, height, width = ops.shape(inputs["image"])[:3]
        size = ops.stack([ops.cast(height, "float32"), ops.cast(width, "float32")])
        return ops.broadcast_to(size, (batch, 2))

    def score_anchors(
        self, pyramid: Mapping[str, Any], image: Any, *, training: bool | None = None
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """For each level: objectness logits [B, N_l], deltas [B, N_l, 4] and anchors [N_l, 4]."""
        maps = [pyramid[name] for name in self.maps]
        sizes = self.settings.anchor_sizes
        outputs = [self.rpn(level, training=training) for level in maps]
        batch = ops.shape(image)[0]
        anchors = pyramid_anchors(
            [(ops.shape(level)[1], ops.shape(level)[2]) for level in maps],
            (ops.shape(image)[1], ops.shape(image)[2]),
            strides=[2 ** _level(name) for name in self.maps],
            sizes=sizes if len(maps) > 1 else [sizes],
            ratios=self.settings.anchor_ratios,
            rounded=self.settings.anchors_rounded,
            strides_from_image=self.settings.anchor_strides_from_image,
        )
        objectness = [ops.reshape(output["objectness"], (batch, -1)) for output in outputs]
        deltas = [ops.reshape(output["deltas"], (batch, -1, 4)) for output in outputs]
        return objectness, deltas, anchors

    def propose(
        self, objectness: list[Any], deltas: list[Any], anchors: list[Any], image_size: Any, *, learning: bool
    ) -> Proposals:
        """The regions that the box head looks at; `learning` chooses how many, see `Settings`."""
        column = 0 if learning else 1
        return propose(
            objectness,
            deltas,
            anchors,
            image_size,
            best_of_level=self.settings.proposals_of_level[column],
            best_of_image=self.settings.proposals_of_image[column],
            iou_threshold=self.settings.proposal_iou,
            smallest_side=self.settings.proposal_smallest_side,
        )

    def pool(self, pyramid: Mapping[str, Any], boxes: Any, *, bins: int) -> Any:
        """The features [B, R, bins, bins, C] of regions [B, R, 4], from p2 to p5, or from c4."""
        maps = [name for name in self.maps if _level(name) <= COARSEST]
        return roi_align(
            [pyramid[name] for name in maps],
            boxes,
            strides=[2 ** _level(name) for name in maps],
            bins=bins,
            sampling_ratio=self.settings.sampling_ratio,
            aligned=self.settings.aligned,
            lowest=_level(maps[0]),
        )

    def region_features(
        self, pyramid: Mapping[str, Any], boxes: Any, *, bins: int, training: bool | None = None
    ) -> Any:
        """What a head sees of regions [B, R, 4]: `pool`, on `bins` x `bins` cells; or what the trunk makes of it, which
        asks for its own number of cells."""
        if self.trunk is None:
            return self.pool(pyramid, boxes, bins=bins)
        return _on_regions(self.trunk, self.pool(pyramid, boxes, bins=self.trunk.input_shape[1]), training=training)

    def classify(self, pyramid: Mapping[str, Any], boxes: Any, *, training: bool | None = None) -> tuple[Any, Any]:
        """The box head's class logits [B, R, K + 1] and deltas [B, R, K or 1, 4] for regions [B, R, 4]."""
        return self.box_outputs(self.region_features(pyramid, boxes, bins=BOX_BINS, training=training))

    def box_outputs(self, regions: Any, *, training: bool | None = None) -> tuple[Any, Any]:
        """As `classify`, of `region_features`."""
        outputs = _on_regions(self.box_head, regions, training=training)
        return outputs["class_logits"], outputs["box_deltas"]

    def detect(
        self, pyramid: Mapping[str, Any], proposals: Proposals, image_size: Any, *, training: bool | None = None
    ) -> Detections:
        """The detections of each image, without masks."""
        class_logits, deltas = self.classify(pyramid, proposals.boxes, training=training)
        return select_detections(
            proposals.boxes,
            proposals.are_filled,
            class_logits,
            deltas,
            image_size,
            score_threshold=self.settings.score_threshold,
            iou_threshold=self.settings.detection_iou,
            most=self.settings.detections,
            candidates=self.settings.detection_candidates,
            smallest_side=self.settings.detection_smallest_side,
        )

    def mask_logits(self, regions: Any, classes: Any, *, training: bool | None = None) -> Any:
        """The mask [B, R, m, m] of each region's class; `classes` [B, R] from 0, below 0 for none.

        Takes `region_features`, with a resolution of `MASK_BINS` where there is no trunk.
        """
        logits = _on_regions(self.mask_head, regions, training=training)
        return choose_class(ops.moveaxis(logits, -1, 2), classes)

    def _learn(
        self, inputs: Mapping[str, Any], pyramid: Mapping[str, Any], image_size: Any, *, training: bool | None
    ) -> dict[str, Any]:
        objects = objects_of(inputs)
        objectness, deltas, anchors = self.score_anchors(pyramid, inputs["image"], training=training)
        proposals = self.propose(objectness, deltas, anchors, image_size, learning=True)
        objectness, deltas = ops.concatenate(objectness, axis=1), ops.concatenate(deltas, axis=1)
        anchor = anchor_targets(ops.concatenate(anchors, axis=0), objects, self._random(objectness), self.settings)
        candidates = ops.concatenate([proposals.scores, objects.boxes[..., 0]], axis=1)
        region = region_targets(proposals, objects, self._random(candidates), self.settings)
        regions = self.region_features(pyramid, region.boxes, bins=BOX_BINS, training=training)
        class_logits, box_deltas = self.box_outputs(regions, training=training)
        outputs = {
            "objectness": take_rows(objectness, anchor.index),
            "anchor_deltas": take_rows(deltas, anchor.index),
            "anchor_is_sampled": anchor.is_sampled,
            "anchor_is_positive": anchor.is_positive,
            "anchor_targets": anchor.deltas,
            "class_logits": class_logits,
            "box_deltas": choose_class(box_deltas, region.classes - 1),
            "region_is_sampled": region.is_sampled,
            "region_classes": region.classes,
            "region_targets": region.deltas,
        }
        if self.mask_head is not None:
            outputs.update(self._learn_masks(inputs, pyramid, regions, region, training=training))
        return outputs

    def _learn_masks(
        self,
        inputs: Mapping[str, Any],
        pyramid: Mapping[str, Any],
        regions: Any,
        region: RegionTargets,
        *,
        training: bool | None,
    ) -> dict[str, Any]:
        # Positives come first, so these slots hold them all.
        most = max(1, int(self.settings.region_sample * self.settings.region_positive_share))
        boxes, classes = region.boxes[:, :most], region.classes[:, :most]
        masks = crop_masks(
            inputs["masks"],
            inputs.get("mask_windows", inputs["boxes"]),
            boxes,
            region.objects[:, :most],
            bins=self.mask_head.output_shape[1],
            sampling_ratio=self.settings.sampling_ratio,
            aligned=self.settings.aligned,
            binary=self.settings.masks_binary,
        )
        if self.trunk is None:
            regions = self.region_features(pyramid, boxes, bins=MASK_BINS, training=training)
        # Or else what the trunk has made of them for the box head.
        logits = self.mask_logits(regions[:, :most], classes - 1, training=training)
        return {"mask_logits": logits, "mask_targets": masks, "mask_is_positive": classes > 0}

    def _random(self, like: Any) -> Any:
        return keras.random.uniform(ops.shape(like), seed=self.seed_generator)

    def loss_parts(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """The losses, scalars, of what the model put out for a batch with "boxes"."""
        per = self.settings.rpn_sample if self.settings.rpn_loss_per_sample_size else None
        anchors_seen, anchors_positive = outputs["anchor_is_sampled"], outputs["anchor_is_positive"]
        regions_seen, classes = outputs["region_is_sampled"], outputs["region_classes"]
        parts = {
            "objectness_loss": losses.objectness_loss(outputs["objectness"], anchors_positive, anchors_seen, per=per),
            "anchor_box_loss": losses.anchor_box_loss(
                outputs["anchor_deltas"],
                outputs["anchor_targets"],
                anchors_positive,
                anchors_seen,
                beta=self.settings.rpn_beta,
                per=per,
            ),
            "class_loss": losses.class_loss(outputs["class_logits"], classes, regions_seen),
            "box_loss": losses.box_loss(
                outputs["box_deltas"], outputs["region_targets"], classes > 0, regions_seen, beta=self.settings.box_beta
            ),
        }
        if self.mask_head is not None:
            parts["mask_loss"] = losses.mask_loss(
                outputs["mask_logits"], outputs["mask_targets"], outputs["mask_is_positive"]
            )
        return parts

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The sum of `loss_parts` and of the layers' own losses."""
        parts = self.loss_parts(y_pred)
        for name, value in parts.items():
            self.loss_trackers[name].update_state(value)
        return sum([*parts.values(), *self.losses])

    def get_config(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in _PARTS}
        return {
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "settings": asdict(self.settings),
            "seed": self.seed,
            **{name: part and keras.saving.serialize_keras_object(part) for name, part in parts.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MaskRCNN":
        config = dict(config)
        for name in (*_PARTS, "dtype"):
            config[name] = config.get(name) and keras.saving.deserialize_keras_object(config[name], custom_objects)
        settings: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in config.pop("settings").items()
        }
        return cls(settings=Settings(**settings), **config)


def check_channels_last(name: str) -> None:
    """Refuses the other layout of images.

    Raises:
        UserError: If it is Keras' setting.
    """
    if keras.config.image_data_format() != "channels_last":
        raise UserError(
            f"`{name}` takes images as channels_last only. Received: "
            "keras.config.image_data_format()='channels_first'. Set it to channels_last."
        )


_PARTS = ("features", "rpn", "trunk", "box_head", "mask_head")
_LOSSES = ["objectness_loss", "anchor_box_loss", "class_loss", "box_loss"]


def _level(name: str) -> int:
    """Of a map called p<level> or c<level>."""
    return int(name[1:])


def _on_regions(head: keras.Model, regions: Any, *, training: bool | None) -> Any:
    """`head` of [B, R, ...] as if the regions were a batch; its outputs with [B, R] again."""
    count = regions.shape[1]
    outputs = head(ops.reshape(regions, (-1, *regions.shape[2:])), training=training)
    return keras.tree.map_structure(lambda x: ops.reshape(x, (-1, count, *x.shape[1:])), outputs)
