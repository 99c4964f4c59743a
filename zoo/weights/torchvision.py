"""Weights of torchvision's Mask R-CNN and Faster R-CNN into those of the zoo."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from zoo.errors import UserError
from zoo.models.mask_rcnn.model import MaskRCNN
from zoo.weights.name_map import Arrange, Library, Renames, Source, channels_last, rename
from zoo.weights.state_dict import StateDict, read_state_dict

_TORCHVISION = Library("torchvision", "num_classes (without the background), norms, head and masks")

# The layers' names, here and in torchvision.
_LAYERS: Renames = (
    (r"stem_conv", "backbone.body.conv1", ()),
    (r"stem_norm", "backbone.body.bn1", ()),
    (r"stage(\d)_block(\d+)_conv(\d)", "backbone.body.layer{}.{}.conv{}", (-1, -1, 0)),
    (r"stage(\d)_block(\d+)_norm(\d)", "backbone.body.layer{}.{}.bn{}", (-1, -1, 0)),
    (r"stage(\d)_block(\d+)_shortcut_conv", "backbone.body.layer{}.{}.downsample.0", (-1, -1)),
    (r"stage(\d)_block(\d+)_shortcut_norm", "backbone.body.layer{}.{}.downsample.1", (-1, -1)),
    (r"fpn_lateral(\d)_conv", "backbone.fpn.inner_blocks.{}.0", (-2,)),
    (r"fpn_lateral(\d)_norm", "backbone.fpn.inner_blocks.{}.1", (-2,)),
    (r"fpn_output(\d)_conv", "backbone.fpn.layer_blocks.{}.0", (-2,)),
    (r"fpn_output(\d)_norm", "backbone.fpn.layer_blocks.{}.1", (-2,)),
    (r"rpn_conv", "rpn.head.conv.0.0", ()),
    (r"rpn_objectness", "rpn.head.cls_logits", ()),
    (r"rpn_deltas", "rpn.head.bbox_pred", ()),
    (r"box_conv(\d)", "roi_heads.box_head.{}.0", (-1,)),
    (r"box_norm(\d)", "roi_heads.box_head.{}.1", (-1,)),
    (r"box_fc(\d)", "roi_heads.box_head.fc{}", (5,)),
    (r"class_logits", "roi_heads.box_predictor.cls_score", ()),
    (r"box_deltas", "roi_heads.box_predictor.bbox_pred", ()),
    (r"mask_conv(\d)", "roi_heads.mask_head.{}.0", (-1,)),
    (r"mask_norm(\d)", "roi_heads.mask_head.{}.1", (-1,)),
    (r"mask_deconv", "roi_heads.mask_predictor.conv5_mask", ()),
    (r"mask_logits", "roi_heads.mask_predictor.mask_fcn_logits", ()),
)
# In a box head with convolutions all layers are numbered: four convolutions, the flattening, this one.
_FC_AFTER_CONVS = "roi_heads.box_head.5"

# Tensors with rows for each class, and how many of each.
_ROWS: Mapping[str, int] = {
    "roi_heads.box_predictor.cls_score.": 1,
    "roi_heads.box_predictor.bbox_pred.": 4,
    "roi_heads.mask_predictor.mask_fcn_logits.": 1,
}

# The tensors' names before torchvision 0.13, as in the published files, and since.
_OLD_NAMES: Renames = (
    (r"backbone\.fpn\.(inner|layer)_blocks\.(\d)\.(weight|bias)", "backbone.fpn.{}_blocks.{}.0.{}", (None, 0, None)),
    (r"rpn\.head\.conv\.(weight|bias)", "rpn.head.conv.0.0.{}", (None,)),
    (r"roi_heads\.mask_head\.mask_fcn(\d)\.(weight|bias)", "roi_heads.mask_head.{}.0.{}", (-1, None)),
)


def load_torchvision(model: MaskRCNN, weights: StateDict, *, classes: Sequence[int] | None = None) -> None:
    """Sets all weights of `model` from the state dict of torchvision's `maskrcnn_resnet50_fpn` or one of its kind.

    The kind: Mask R-CNN or (`masks=False`) Faster R-CNN on any ResNet with a pyramid, with any norm in its parts, and a
    box head of two fully connected layers (`head="2fc"`) or of four convolutions and one ("4conv1fc"). Names are those
    of torchvision 0.13 and later, or the older ones of the published files.

    Every weight of the model is set and every tensor used, but for the background's row of box deltas and masks,
    which torchvision has and never looks at, and for counters of training steps. What a state dict doesn't hold must be
    given to `zoo.build`: torchvision's conventions (`**TORCHVISION`), the groups of Group Normalization, and the
    epsilon of the norms, which is 0 ("frozen_bn:epsilon=0") for the published `COCO_V1` weights.

    Args:
        model: Of `zoo.build("mask_rcnn_...")`. Its classes are torchvision's without the background.
        weights: See `read_state_dict`.
        classes: torchvision's numbers of the model's classes, in order, where the model has some of them only: the
            published weights number 90 classes by COCO's category ids, 80 of which exist
            (`DetectionDataset.category_ids`). None: 1, 2, ..., all of them.

    Raises:
        UserError: If `classes` doesn't hold as many numbers above 0, each once, as the model has classes; if a tensor
            is missing, left over, or of a shape that doesn't fit, or if torchvision has no layer like one of the
            model's; the model is unchanged then.
    """
    state = _with_new_names(read_state_dict(weights))
    if not isinstance(model, MaskRCNN):
        raise UserError(f"`model` must be a Mask R-CNN of zoo.build. Received: model={model!r}")
    if classes is not None:
        state = _of_classes(state, _checked(classes, model))
    _TORCHVISION.set_weights(model, state, _sources(model), weights=weights)


def _checked(classes: Sequence[int], model: MaskRCNN) -> list[int]:
    numbers = [int(number) for number in classes]
    num_classes = model.box_head.get_layer("class_logits").units - 1
    if len(numbers) != num_classes or len(set(numbers)) < len(numbers) or min(numbers) < 1:
        raise UserError(
            f"`classes` must be {num_classes} different numbers above 0, one for each class of '{model.name}'. "
            f"Received: classes={numbers}"
        )
    return numbers


def _of_classes(state: Mapping[str, np.ndarray], classes: Sequence[int]) -> dict[str, np.ndarray]:
    """`state` without the rows of all classes but the background's, which is 0, and these."""
    kept = np.array([0, *classes])

    def rows(name: str, array: np.ndarray) -> np.ndarray:
        per_class = next((count for prefix, count in _ROWS.items() if name.startswith(prefix)), 0)
        if not per_class:
            return array
        numbers = (kept[:, None] * per_class + np.arange(per_class)).ravel()
        if numbers.max() >= len(array):
            raise UserError(
                f"`classes` must be numbers of classes that the weights have, 1 to {len(array) // per_class - 1}. "
                f"Received: classes={list(classes)}, for '{name}' with {len(array)} rows"
            )
        return array[numbers]

    return {name: rows(name, array) for name, array in state.items()}


def _sources(model: MaskRCNN) -> Iterator[Source]:
    """One for each variable of `model`.

    Raises:
        UserError: If torchvision has no layer like one of the model's.
    """
    parts = [part for part in (model.features, model.rpn, model.box_head, model.mask_head) if part is not None]
    layers = {layer.name: layer for part in parts for layer in part.layers if layer.weights}
    region = model.box_head.input_shape[1:]

    def name_of(layer: str) -> str | None:
        return _FC_AFTER_CONVS if layer == "box_fc1" and "box_conv1" in layers else rename(layer, _LAYERS)

    def arrange_of(layer: str) -> Arrange:
        return partial(_arrange, layer, region=region)

    return _TORCHVISION.sources(model, layers, name_of=name_of, arrange_of=arrange_of)


def _with_new_names(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    renamed = {name: rename(name, _OLD_NAMES) for name in state}
    # A tensor that is there by both names keeps the old one, and so is left over.
    return {name if new is None or new in state else new: state[name] for name, new in renamed.items()}


def _arrange(layer: str, array: np.ndarray, *, region: tuple[int, int, int]) -> np.ndarray:
    """torch's tensor as Keras keeps it: channels and inputs before outputs, boxes with y before x.

    Args:
        layer: Its name here.
        array: [out], [out, in], [out, in, H, W], or for a transposed convolution [in, out, H, W].
        region: (height, width, channels) of what the box head flattens; torch flattens (channels, height, width).

    Raises:
        ValueError, IndexError: If the shape can't be the layer's.
    """
    array = _OUTPUTS.get(layer, lambda rows: rows)(array)
    if layer == "box_fc1" and array.ndim == 2:
        height, width, channels = region
        by_cell = array.reshape(len(array), channels, height, width)
        return by_cell.transpose(2, 3, 1, 0).reshape(height * width * channels, len(array))
    return channels_last(array)


def _y_first(rows: np.ndarray) -> np.ndarray:
    """Rows (dx, dy, dw, dh) of the first box, then of the second, ... as (dy, dx, dh, dw)."""
    return rows.reshape(-1, 4, *rows.shape[1:])[:, [1, 0, 3, 2]].reshape(rows.shape)


# What becomes of the outputs of some layers. The background's come first.
_OUTPUTS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "rpn_deltas": _y_first,
    "box_deltas": lambda rows: _y_first(rows[4:]),
    "mask_logits": lambda rows: rows[1:],
}
