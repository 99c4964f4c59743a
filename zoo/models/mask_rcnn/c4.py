"""Mask R-CNN on a ResNet's fourth stage, with the fifth as what the heads share."""

from collections.abc import Mapping
from typing import Any

import keras

from zoo.models.mask_rcnn.heads import mask_head, mean_box_head, rpn_head
from zoo.models.mask_rcnn.model import MaskRCNN, check_channels_last
from zoo.models.mask_rcnn.settings import C4, Settings
from zoo.models.norms import Norm, NormFactory, parse_norm
from zoo.models.resnet import SPECS as RESNETS
from zoo.models.resnet import ResNetSpec, resnet_features, resnet_stage

SPECS: Mapping[str, ResNetSpec] = {f"mask_rcnn_{name}_c4": RESNETS[name] for name in ("resnet18", "resnet50")}
# Cells a side of a region's features before the last stage, whose stride halves them.
REGION_BINS = 14


def mask_rcnn_c4(
    name: str,
    norm: str | NormFactory | Norm = "gn",
    *,
    num_classes: int,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    box_norm: str | NormFactory | Norm | None = None,
    masks: bool = True,
    class_agnostic_boxes: bool = False,
    class_agnostic_masks: bool = False,
    channels: int = 256,
    seed: int | None = None,
    **settings: Any,
) -> MaskRCNN:
    """A Mask R-CNN "C4" (arXiv 1703.06870, section 3 and figure 3, left), with fresh weights.

        image -> stages 2 to 4 -> c4 -> region proposals, anchors of all sizes at every place, 16 pixels apart
        c4, region -> ROIAlign, 14 x 14 -> stage 5 -> 7 x 7 -> mean -> class and box
                                                            -> deconvolution, 1x1 convolution -> mask, 14 x 14

    The stages are called as a classifier's. Stage 5 runs once more on the detections, whose masks are those of their
    final boxes.

    Args:
        name: One of `SPECS`.
        norm: Of the backbone, see `parse_norm`.
        num_classes: K object classes; the background is not one of them.
        input_shape: Of one image; height and width may be None.
        box_norm: Of stage 5, which both heads share; None: `norm` (Group Normalization, arXiv 1803.08494, table 4). The
            other layers of the heads have none.
        masks: Whether there is a mask head; without one this is Faster R-CNN.
        class_agnostic_boxes: Whether all classes share one box a region.
        class_agnostic_masks: Whether all classes share one mask a region.
        channels: Of the mask head's deconvolution.
        seed: Of the samples that training draws; None: a random one.
        **settings: Fields of `Settings`; where none are given, those of `C4`, then `Settings`' own.

    Raises:
        UserError: If an argument is unknown or out of its range, or images are channels first.
    """
    check_channels_last(name)
    spec = SPECS[name]
    image = keras.Input(input_shape, name="image")
    c4 = resnet_features(image, spec=spec, norm=parse_norm(norm), stem="large")["c4"]
    trunk = _trunk(c4.shape[-1], spec=spec, norm=parse_norm(norm if box_norm is None else box_norm))
    bins, deep = trunk.output_shape[-2:]
    chosen = Settings(**{**C4, **settings})
    return MaskRCNN(
        features=keras.Model(image, {"c4": c4}, name="features"),
        rpn=rpn_head(channels=c4.shape[-1], anchors=len(chosen.anchor_sizes) * len(chosen.anchor_ratios)),
        trunk=trunk,
        box_head=mean_box_head(channels=deep, num_classes=num_classes, bins=bins, class_agnostic=class_agnostic_boxes),
        mask_head=mask_head(
            channels=channels,
            num_classes=num_classes,
            norm=parse_norm("none"),
            bins=bins,
            class_agnostic=class_agnostic_masks,
            convs=0,
            region_channels=deep,
        )
        if masks
        else None,
        settings=chosen,
        seed=seed,
        name=name,
    )


def _trunk(channels: int, *, spec: ResNetSpec, norm: Norm) -> keras.Model:
    region = keras.Input((REGION_BINS, REGION_BINS, channels), name="region")
    return keras.Model(region, resnet_stage(region, 5, spec=spec, norm=norm), name="trunk")
