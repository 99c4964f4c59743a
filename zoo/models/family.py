"""A family of models: what shares a builder, with its options and its kind of input."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from zoo.errors import UserError
from zoo.models.norms import Norm, channel_axis
from zoo.models.options import check_kinds

IMAGE_AXES = ("height", "width")
CLIP_AXES = ("frames", *IMAGE_AXES)


@dataclass(frozen=True)
class Family:
    """Models that share a builder. Their options are the keyword arguments of its parts that have a default.

    Args:
        specs: Model name -> the variant that `features` takes.
        features: (input, spec=, norm=, <options>) -> named features.
        logits: (features, num_classes, <options>) -> logits.
        model: (input, outputs, name=, <options>) -> the model.
        input_name: What the input is called.
        axes: Of the input, besides batch and channels.
        input_shape: Where none is given.
    """

    specs: Mapping[str, Any]
    features: Callable[..., dict[str, keras.KerasTensor]]
    logits: Callable[..., keras.KerasTensor]
    model: Callable[..., keras.Model] = keras.Model
    input_name: str = "image"
    axes: tuple[str, ...] = IMAGE_AXES
    input_shape: tuple[int | None, ...] = (224, 224, 3)

    def options(self) -> list[str]:
        """The names of all options."""
        return [name for part in self._parts() for name in _options_of(part)]

    def check_kinds(self, options: Mapping[str, Any]) -> None:
        """Refuses values of another kind than the default's, see `zoo.models.options.check_kinds`."""
        for part in self._parts():
            check_kinds(part, options)

    def build(
        self, name: str, norm: Norm, *, num_classes: int | None, input_shape: tuple[int | None, ...], **options: Any
    ) -> keras.Model:
        """The model called `name`; without `num_classes`, that of its features."""
        of_features, of_logits, of_model = (
            {option: options[option] for option in _options_of(part) if option in options} for part in self._parts()
        )
        image = keras.Input(shape=input_shape, name=self.input_name)
        features = self.features(image, spec=self.specs[name], norm=norm, **of_features)
        outputs = features if num_classes is None else self.logits(features, num_classes, **of_logits)
        return self.model(image, outputs, name=name, **of_model)

    def _parts(self) -> tuple[Callable[..., Any], ...]:
        return self.features, self.logits, self.model


def check_input_shape(input_shape: Any, axes: Sequence[str]) -> None:
    """Refuses what is no shape of an input with these axes and channels.

    Raises:
        UserError: With the form that it must have.

    >>> check_input_shape((None, 32, 32, 3), CLIP_AXES)
    """
    valid = isinstance(input_shape, tuple | list) and len(input_shape) == len(axes) + 1
    if valid:
        sizes = list(input_shape)
        channels = sizes.pop(0 if channel_axis() == 1 else -1)
        valid = is_positive(channels) and all(size is None or is_positive(size) for size in sizes)
    if not valid:
        form = ["channels", *axes] if channel_axis() == 1 else [*axes, "channels"]
        raise UserError(
            f"`input_shape` must be ({', '.join(form)}), integers above 0, where {' and '.join(axes)} may be None. "
            f"Received: input_shape={input_shape!r}"
        )


def is_positive(value: Any) -> bool:
    """Whether `value` is an integer above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _options_of(part: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(part).parameters.values()
    return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is not each.empty]
