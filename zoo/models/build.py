"""Models by name: the table of families, and `build`."""

from collections.abc import Collection, Mapping
from typing import Any

import keras

from zoo.errors import UserError, unknown_name
from zoo.models.family import CLIP_AXES, IMAGE_AXES, Family, check_input_shape, is_positive
from zoo.models.load_weights import Weights, load_weights
from zoo.models.mask_rcnn.build import BUILDERS as MASK_RCNNS
from zoo.models.mask_rcnn.build import check_option_values, option_names
from zoo.models.norms import Norm, NormFactory, parse_norm
from zoo.models.remat import functional_model
from zoo.models.resnet import SPECS as RESNETS
from zoo.models.resnet import resnet_features, resnet_logits
from zoo.models.resnet3d import SPECS as RESNETS_3D
from zoo.models.resnet3d import resnet3d_features, resnet3d_logits
from zoo.models.resnet_v2 import SPECS as RESNETS_V2
from zoo.models.resnet_v2 import resnet_v2_features, resnet_v2_logits
from zoo.models.saved_norms import as_saved
from zoo.models.simplenet import SPECS as SIMPLENETS
from zoo.models.simplenet import simplenet_features, simplenet_logits

_IMAGES = (
    Family(RESNETS, resnet_features, resnet_logits),
    Family(RESNETS_V2, resnet_v2_features, resnet_v2_logits),
    Family(SIMPLENETS, simplenet_features, simplenet_logits),
)
_VIDEOS = (
    Family(
        RESNETS_3D,
        resnet3d_features,
        resnet3d_logits,
        functional_model,
        input_name="clip",
        axes=CLIP_AXES,
        input_shape=(None, None, None, 3),
    ),
)
_FAMILY_OF = {name: family for family in _IMAGES + _VIDEOS for name in family.specs}
_NAMES_BY_TASK: Mapping[str, Collection[str]] = {
    "image_classification": [name for family in _IMAGES for name in family.specs],
    "video_classification": [name for family in _VIDEOS for name in family.specs],
    "detection": list(MASK_RCNNS),
}
TASKS = tuple(_NAMES_BY_TASK)


def list_models(task: str = "image_classification") -> list[str]:
    """The names that `build` takes for models of a task, sorted.

    Args:
        task: "image_classification", "video_classification" or "detection".

    Raises:
        zoo.errors.UserError: If `task` is unknown.

    >>> list_models()[0], list_models("detection")[0]
    ('resnet101', 'mask_rcnn_resnet101_fpn')
    """
    if task not in _NAMES_BY_TASK:
        raise unknown_name("task", str(task), _NAMES_BY_TASK)
    return sorted(_NAMES_BY_TASK[task])


def build(
    name: str,
    norm: str | NormFactory | Norm = "gn",
    *,
    num_classes: int | None = 1000,
    input_shape: tuple[int | None, ...] | None = None,
    weights: Weights | None = None,
    other_classes: bool = False,
    **options: Any,
) -> keras.Model:
    """A model of the zoo, with the normalization of your choice.

    The input is called "image": floats [B, H, W, C], standardized (channels first under
    `keras.config.image_data_format() == "channels_first"`); that of the models for videos is called "clip",
    [B, T, H, W, C]. Layer names do not depend on the norm.

    Args:
        name: One of `zoo.list_models(task)`, for any task.
        norm: A norm name or a callable, see `zoo.models.norms.parse_norm`. The resnetv2 models
            were published with "gn+ws".
        num_classes: For float32 logits [B, num_classes] from a last layer "logits"; or None for a model
            that returns its features: {"c2", "c3", "c4", "c5"}, or {"c1", "c2", "c3"} for simplenets.
            For detection the classes of objects, without the background; see `MaskRCNN` for the outputs.
        input_shape: Of one image, or one clip. All but the channels may be None, except for simplenets. None:
            (224, 224, 3), (None, None, 3) for detection, and (None, None, None, 3) for videos.
        weights: A `.weights.h5` or `.keras` file of the same architecture to start from, or a model of it; None: fresh
            ones. Norms get the groups and epsilon that they have there, unless it is a `.weights.h5` file. A detector
            also takes a classifier, for its backbone, and a model for videos one for images, see
            `zoo.models.inflate`; other layers then stay fresh.
        other_classes: True: what is there for each class, such as the logits, stays fresh where `weights` are for
            another number of classes, as for fine-tuning; the log names it. False: such weights are refused.
        **options: Of the family. ResNets take `stem` ("auto", "small", "large") and, but for v2,
            `zero_init_residual` (True by default); those for videos also `dropout` (0.5) and `remat` (False; True
            saves memory in training, see `zoo.models.remat`). Detectors take those of
            `zoo.models.mask_rcnn.build.mask_rcnn` or, on C4, of `zoo.models.mask_rcnn.c4.mask_rcnn_c4`.

    Raises:
        zoo.errors.UserError: If a name or an option is unknown, a value is out of its range, the norm does
            not fit the model, or the weights do not.

    >>> model = build("resnet18", norm="gn:groups=16", num_classes=10, input_shape=(32, 32, 3))
    >>> model.output_shape, model.get_layer("stage2_block1_norm1").groups
    ((None, 10), 16)
    """
    valid_names = [model for models in _NAMES_BY_TASK.values() for model in models]
    if not isinstance(name, str) or name not in valid_names:
        raise unknown_name("model", str(name), valid_names)
    check_options(name, options)
    _check_num_classes(num_classes)
    family = _FAMILY_OF.get(name)
    if input_shape is None:
        input_shape = family.input_shape if family else (None, None, 3)
    check_input_shape(input_shape, family.axes if family else IMAGE_AXES)
    chosen = parse_norm(norm) if weights is None else as_saved(parse_norm(norm), weights)
    build_it = family.build if family else _detector
    model = build_it(name, chosen, num_classes=num_classes, input_shape=input_shape, **options)
    if weights is not None:
        load_weights(model, weights, other_classes=other_classes)
    return model


def _detector(name: str, norm: Norm, *, num_classes: int | None, **options: Any) -> keras.Model:
    if num_classes is None:
        raise UserError(
            f"`num_classes` must be an integer above 0 for {name}; the backbone alone is the model's `features`. "
            "Received: num_classes=None"
        )
    return MASK_RCNNS[name](name, norm, num_classes=num_classes, **options)


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuses options that the model called `name` doesn't have, and values that they can't have.

    Raises:
        zoo.errors.UserError: If there is one; where the name is unknown, the message offers the nearest.

    >>> check_options("resnet18", {"stem": "small"})
    """
    valid = option_names(name) if name in MASK_RCNNS else _FAMILY_OF[name].options()
    for option in options:
        if not valid:
            raise UserError(f"`{name}` takes no options. Received: {option}={options[option]!r}")
        if option not in valid:
            raise unknown_name(f"option of {name}", option, valid)
    if name in MASK_RCNNS:
        check_option_values(name, options)
    else:
        _FAMILY_OF[name].check_kinds(options)


def _check_num_classes(num_classes: Any) -> None:
    if num_classes is not None and not is_positive(num_classes):
        raise UserError(
            f"`num_classes` must be an integer above 0, or None for the features. Received: num_classes={num_classes!r}"
        )
