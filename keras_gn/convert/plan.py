"""Which layers of a model are converted, and how; changes nothing."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras

from keras_gn.convert.errors import ConversionError
from keras_gn.convert.groups import Policy
from keras_gn.layers.arguments import single_axis

LayerFilter = Callable[[keras.layers.Layer], bool]


@dataclass(frozen=True)
class LayerPlan:
    """A BatchNormalization that is converted: its number of groups, and why it is that number."""

    path: str
    layer: keras.layers.BatchNormalization
    channels: int
    groups: int
    epsilon: float
    reason: str


@dataclass(frozen=True)
class Kept:
    """A BatchNormalization that stays, and why."""

    path: str
    layer: keras.layers.BatchNormalization
    reason: str


Plan = tuple[LayerPlan | Kept, ...]


def make_plan(
    model: keras.Model, layers: Mapping[str, keras.Layer], policy: Policy, *, layer_filter: LayerFilter | None
) -> Plan:
    """What happens to each BatchNormalization among `layers`, all layers of the model by their paths.

    Raises:
        ConversionError: If the model isn't built or is quantized, or if the policy can't serve a layer.
    """
    _refuse_unbuilt(model)
    _refuse_quantized(model, layers)
    return tuple(
        _plan_layer(path, layer, policy, layer_filter)
        for path, layer in layers.items()
        if isinstance(layer, keras.layers.BatchNormalization)
    )


def _plan_layer(
    path: str, layer: keras.layers.BatchNormalization, policy: Policy, layer_filter: LayerFilter | None
) -> LayerPlan | Kept:
    if not layer.built:
        return Kept(path, layer, "never built: it has no statistics")
    if "call" in vars(layer) or type(layer).call is not keras.layers.BatchNormalization.call:
        return Kept(path, layer, f"it has its own `call`, {type(layer).__name__}")
    if layer_filter is not None and not layer_filter(layer):
        return Kept(path, layer, "left out by `layer_filter`")
    channels, positions = _sizes(layer)
    if channels == 1 and positions == 1:
        return Kept(path, layer, "a single channel at a single position has no groups")
    choice = policy.choose(layer, path=path, channels=channels, positions=positions)
    return LayerPlan(path, layer, channels=channels, groups=choice.groups, epsilon=layer.epsilon, reason=choice.reason)


def _sizes(layer: keras.layers.BatchNormalization) -> tuple[int, int | None]:
    """The layer's number of channels, and of positions where it is known."""
    shape = list(layer.get_build_config()["input_shape"])
    channels = shape.pop(single_axis(layer.axis))
    spatial = shape[1:]
    return channels, None if None in spatial else math.prod(spatial)


def _refuse_unbuilt(model: keras.Model) -> None:
    if not model.built:
        raise ConversionError(
            f"The model must be built, for its weights to be converted. Received: '{model.name}', which isn't. Call it "
            "on a batch, or load its weights, first."
        )


def _refuse_quantized(model: keras.Model, layers: Mapping[str, keras.Layer]) -> None:
    quantized = [path for path, layer in layers.items() if getattr(layer, "quantization_mode", None)]
    if quantized:
        raise ConversionError(
            f"A quantized model can't be converted: its integer weights were fitted to the batch normalization. "
            f"Received: '{model.name}' with quantized layers {', '.join(quantized[:5])}. Convert first, then quantize."
        )
