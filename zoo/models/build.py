"""Models by name: the table of families, and `build`."""

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from zoo.errors import UserError, unknown_name
from zoo.models.load_weights import load_weights
from zoo.models.mask_rcnn.build import BUILDERS as MASK_RCNNS
from zoo.models.mask_rcnn.build import check_option_values, option_names
from zoo.models.norms import Norm, NormFactory, channel_axis, parse_norm
from zoo.models.options import check_kinds
from zoo.models.resnet import SPECS as RESNETS
from zoo.models.resnet import resnet_features, resnet_logits
from zoo.models.resnet_v2 import SPECS as RESNETS_V2
from zoo.models.resnet_v2 import resnet_v2_features, resnet_v2_logits
from zoo.models.saved_norms import as_saved
from zoo.models.simplenet import SPECS as SIMPLENETS
from zoo.models.simplenet import simplenet_features, simplenet_logits


@dataclass(frozen=True)
class _Family:
    """Models that share a builder.

    Args:
        specs: Model name -> the variant that `features` takes.
        features: (image, spec=, norm=, <options>) -> named features.
        logits: (features, num_classes) -> logits.
    """

    specs: Mapping[str, Any]
    features: Callable[..., dict[str, keras.KerasTensor]]
    logits: Callable[[Mapping[str, keras.KerasTensor], int], keras.KerasTensor]

    def options(self) -> list[str]:
        names = inspect.signature(self.features).parameters
        return [name for name in names if name not in ("image", "spec", "norm")]


_FAMILIES = (
    _Family(RESNETS, resnet_features, resnet_logits),
    _Family(RESNETS_V2, resnet_v2_features, resnet_v2_logits),
    _Family(SIMPLENETS, simplenet_features, simplenet_logits),
)
_FAMILY_OF = {name: family for family in _FAMILIES for name in family.specs}
_NAMES_BY_TASK: Mapping[str, Mapping[str, Any]] = {"image_classification": _FAMILY_OF, "detection": MASK_RCNNS}


TASKS = tuple(_NAMES_BY_TASK)


def list_models(task: str = "image_classification") -> list[str]:
    """The names that `build` takes for models of a task, sorted.

    Args:
        task: "image_classification" or "detection".

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
    input_shape: tuple[int | None, int | None, int] | None = None,
    weights: str | os.PathLike[str] | None = None,
    **options: Any,
) -> keras.Model:
    """A model of the zoo, with the normalization of your choice.

    The input is called "image": floats [B, H, W, C], standardized (channels first under
    `keras.config.image_data_format() == "channels_first"`). Layer names do not depend on the norm.

    Args:
        name: One of `zoo.list_models()` or `zoo.list_models("detection")`.
        norm: A norm name or a callable, see `zoo.models.norms.parse_norm`. The resnetv2 models
            were published with "gn+ws".
        num_classes: For float32 logits [B, num_classes] from a last layer "logits"; or None for a model
            that returns its features: {"c2", "c3", "c4", "c5"}, or {"c1", "c2", "c3"} for simplenets.
            For detection the classes of objects, without the background; see `MaskRCNN` for the outputs.
        input_shape: Of one image. Height and width may be None, except for simplenets. None: (224, 224, 3), and
            (None, None, 3) for detection.
        weights: A `.weights.h5` or `.keras` file of the same architecture to start from; None: fresh ones. Norms get
            the groups and epsilon that they have in a `.keras` file. A detector also takes the file of a classifier,
            for its backbone.
        **options: Of the family. ResNets take `stem` ("auto", "small", "large") and, v1.5 only,
            `zero_init_residual` (True by default). Detectors take those of `zoo.models.mask_rcnn.build.mask_rcnn`
            or, on C4, of `zoo.models.mask_rcnn.c4.mask_rcnn_c4`.

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
    is_detector = name in MASK_RCNNS
    if input_shape is None:
        input_shape = (None, None, 3) if is_detector else (224, 224, 3)
    check_options(name, options)
    _check_num_classes(num_classes)
    _check_input_shape(input_shape)
    if is_detector:
        return _detector(name, norm, num_classes=num_classes, input_shape=input_shape, weights=weights, **options)
    family = _FAMILY_OF[name]
    image = keras.Input(shape=input_shape, name="image")
    chosen = _norm(norm, weights)
    features = family.features(image, spec=family.specs[name], norm=chosen, **options)
    outputs = features if num_classes is None else family.logits(features, num_classes)
    model = keras.Model(image, outputs, name=name)
    if weights is not None:
        load_weights(model, weights)
    return model


def _detector(name: str, norm: Any, *, num_classes: int | None, weights: Any, **options: Any) -> keras.Model:
    if num_classes is None:
        raise UserError(
            f"`num_classes` must be an integer above 0 for {name}; the backbone alone is the model's `features`. "
            "Received: num_classes=None"
        )
    model = MASK_RCNNS[name](name, _norm(norm, weights), num_classes=num_classes, **options)
    if weights is not None:
        load_weights(model, weights)
    return model


def _norm(norm: str | NormFactory | Norm, weights: str | os.PathLike[str] | None) -> Norm:
    """The norm, with the groups of the file that the weights come from."""
    return parse_norm(norm) if weights is None else as_saved(parse_norm(norm), weights)


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
        check_kinds(_FAMILY_OF[name].features, options)


def _check_num_classes(num_classes: Any) -> None:
    if num_classes is not None and not _is_positive(num_classes):
        raise UserError(
            f"`num_classes` must be an integer above 0, or None for the features. Received: num_classes={num_classes!r}"
        )


def _check_input_shape(input_shape: Any) -> None:
    valid = isinstance(input_shape, tuple | list) and len(input_shape) == 3
    if valid:
        sizes = list(input_shape)
        channels = sizes.pop(0 if channel_axis() == 1 else -1)
        valid = _is_positive(channels) and all(size is None or _is_positive(size) for size in sizes)
    if not valid:
        form = "(channels, height, width)" if channel_axis() == 1 else "(height, width, channels)"
        raise UserError(
            f"`input_shape` must be {form}, integers above 0, where height and width may be None. "
            f"Received: input_shape={input_shape!r}"
        )


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
