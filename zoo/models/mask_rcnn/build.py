"""Mask R-CNNs by name."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras

from zoo.models.fpn import feature_pyramid
from zoo.models.mask_rcnn.c4 import SPECS as C4_SPECS
from zoo.models.mask_rcnn.c4 import mask_rcnn_c4
from zoo.models.mask_rcnn.heads import box_head, mask_head, rpn_head
from zoo.models.mask_rcnn.model import BOX_BINS, MASK_BINS, MaskRCNN, check_channels_last
from zoo.models.mask_rcnn.settings import Settings
from zoo.models.norms import Norm, NormFactory, parse_norm
from zoo.models.options import check_kinds
from zoo.models.resnet import SPECS as RESNETS
from zoo.models.resnet import ResNetSpec, resnet_features

SPECS: Mapping[str, ResNetSpec] = {
    f"mask_rcnn_{name}_fpn": RESNETS[name] for name in ("resnet18", "resnet50", "resnet101")
}
AnyNorm = str | NormFactory | Norm


def mask_rcnn(
    name: str,
    norm: AnyNorm = "gn",
    *,
    num_classes: int,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    fpn_norm: AnyNorm | None = None,
    box_norm: AnyNorm | None = None,
    mask_norm: AnyNorm | None = None,
    head: str = "4conv1fc",
    masks: bool = True,
    class_agnostic_boxes: bool = False,
    class_agnostic_masks: bool = False,
    channels: int = 256,
    units: int = 1024,
    seed: int | None = None,
    **settings: Any,
) -> MaskRCNN:
    """A Mask R-CNN on a ResNet with a feature pyramid, with fresh weights.

    Args:
        name: One of `SPECS`.
        norm: Of the backbone, see `parse_norm`.
        num_classes: K object classes; the background is not one of them.
        input_shape: Of one image; height and width may be None.
        fpn_norm: Of the pyramid; None: `norm`, or "none" where that is frozen, for a norm that is never trained serves
            weights that come with it, not new layers.
        box_norm: Of the box head's convolutions; None: as above.
        mask_norm: Of the mask head's convolutions; None: as above.
        head: The box head: "4conv1fc" or "2fc".
        masks: Whether there is a mask head; without one this is Faster R-CNN.
        class_agnostic_boxes: Whether all classes share one box a region.
        class_agnostic_masks: Whether all classes share one mask a region.
        channels: Of the pyramid and the heads' convolutions.
        units: Of the box head's fully connected layers.
        seed: Of the samples that training draws; None: a random one.
        **settings: Fields of `Settings`; `**TORCHVISION` for that library's conventions.

    Raises:
        UserError: If an argument is unknown or out of its range, or images are channels first.

    >>> import numpy as np
    >>> model = mask_rcnn("mask_rcnn_resnet18_fpn", num_classes=3, channels=32, units=8, detections=5)
    >>> found = model({"image": np.zeros((1, 64, 96, 3), "float32")})
    >>> {name: tuple(value.shape) for name, value in sorted(found.items())}
    {'boxes': (1, 5, 4), 'classes': (1, 5), 'masks': (1, 5, 28, 28), 'num_detections': (1,), 'scores': (1, 5)}
    """
    check_channels_last(name)
    backbone = parse_norm(norm)
    image = keras.Input(input_shape, name="image")
    c = resnet_features(image, spec=SPECS[name], norm=backbone, stem="large")
    pyramid = feature_pyramid(c, norm=_part_norm(fpn_norm, backbone), channels=channels)
    chosen = Settings(**settings)
    return MaskRCNN(
        features=keras.Model(image, pyramid, name="features"),
        rpn=rpn_head(channels=channels, anchors=len(chosen.anchor_ratios)),
        box_head=box_head(
            kind=head,
            channels=channels,
            num_classes=num_classes,
            norm=_part_norm(box_norm, backbone),
            units=units,
            bins=BOX_BINS,
            class_agnostic=class_agnostic_boxes,
        ),
        mask_head=mask_head(
            channels=channels,
            num_classes=num_classes,
            norm=_part_norm(mask_norm, backbone),
            bins=MASK_BINS,
            class_agnostic=class_agnostic_masks,
        )
        if masks
        else None,
        settings=chosen,
        seed=seed,
        name=name,
    )


BUILDERS: Mapping[str, Callable[..., MaskRCNN]] = {
    **dict.fromkeys(SPECS, mask_rcnn),
    **dict.fromkeys(C4_SPECS, mask_rcnn_c4),
}


def option_names(name: str) -> list[str]:
    """The keyword arguments of a detector's builder besides those that every model of the zoo takes."""
    own = inspect.signature(BUILDERS[name]).parameters
    given = {"name", "norm", "num_classes", "input_shape", "settings"}
    return [*(name for name in own if name not in given), *Settings.names()]


def check_option_values(name: str, options: Mapping[str, Any]) -> None:
    """Refuses options of a detector whose kind or range is wrong, without building it."""
    check_kinds(BUILDERS[name], options)
    Settings(**{option: value for option, value in options.items() if option in Settings.names()})


def _part_norm(norm: AnyNorm | None, backbone: Norm) -> Norm:
    if norm is None:
        return parse_norm("none") if backbone.spec.startswith("frozen_bn") else backbone
    return parse_norm(norm)
