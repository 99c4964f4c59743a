"""A faithful copy of a model, by Keras' own serialization."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import takewhile
from types import FunctionType
from typing import Any

import keras

from keras_gn.convert.errors import ConversionError
from keras_gn.convert.maker import class_of
from keras_gn.convert.tree import find_layers, members_of

try:  # Makes one layer of all with the same id. Used for every .keras file, but not in Keras' public API.
    from keras.src.saving.serialization_lib import ObjectSharingScope
except ImportError:  # A future Keras: the check of the copy's layers then refuses models that share between models.
    ObjectSharingScope = nullcontext


_ARGUMENTS = (keras.initializers.Initializer, keras.regularizers.Regularizer, keras.constraints.Constraint)


def copy_model(model: keras.Model, layers: Mapping[str, keras.Layer]) -> tuple[keras.Model, list[keras.Layer]]:
    """A copy of `model` that shares nothing with it, not compiled, with equal weights, names and trainable flags.

    Args:
        model: The model.
        layers: All its layers, as `find_layers` finds them.

    Returns:
        The copy, and all its layers in the same order.

    Raises:
        ConversionError: If the model can't be serialized, or if what comes back isn't the same model.
    """
    try:
        with keras.saving.custom_object_scope(users_own(layers.values())):
            copied = _serialized_and_back(model)
        _match_inputs(model, copied)
        targets = _matching(layers, list(find_layers(copied, keras.layers.Layer).values()))
        _copy_weights(_variables(model), _variables(copied))
    except Exception as error:  # whatever the user's own layers raise from their serialization
        raise ConversionError(
            f"The model '{model.name}' can't be copied by Keras' serialization, which a conversion that leaves the "
            f"original alone needs. Received: {type(error).__name__}: {error}. Give layers a `get_config` that "
            "returns all arguments of `__init__`, make what isn't a layer known by keras.saving.custom_object_scope, "
            "or convert the model itself with inplace=True."
        ) from error
    return copied, targets


def _serialized_and_back(model: keras.Model) -> keras.Model:
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    _mark_shared(model, config)
    with ObjectSharingScope():
        # The model is in memory already: its own functions are no more dangerous in the copy.
        return keras.saving.deserialize_keras_object(config, safe_mode=False)


def _mark_shared(model: keras.Model, config: dict[str, Any]) -> None:
    """Gives each layer of a model and of those nested in it its id: one object, wherever it comes again.

    Keras marks them too while it saves, but loses the marks of layers that several nested models share.
    """
    members = {member.name: member for member in members_of(model)}
    for entry in config["config"].get("layers", []):
        member = members.get(entry["config"].get("name"))
        if isinstance(member, keras.Model):
            _mark_shared(member, entry)
        if member is not None:
            entry["shared_object_id"] = id(member)


def users_own(layers: Iterable[keras.Layer]) -> dict[str, Any]:
    """The classes and functions by name that Keras can't know: of layers, and of what they have for arguments."""
    found: list[Any] = []
    for layer in layers:
        found.append(class_of(layer))
        found.extend(type(value) for value in vars(layer).values() if isinstance(value, _ARGUMENTS))
        found.extend(value for value in vars(layer).values() if isinstance(value, FunctionType))
    return {each.__name__: each for each in found if each.__module__.split(".")[0] not in {"keras", "keras_gn"}}


def _matching(layers: Mapping[str, keras.Layer], targets: list[keras.Layer]) -> list[keras.Layer]:
    """The layers of the copy, with the names and trainable flags of those in the same places of the model."""
    types = [[type(layer) for layer in found] for found in (layers.values(), targets)]
    if types[0] != types[1]:
        same = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], zip(*types, strict=False)))
        raise ConversionError(f"the copy differs from the model at '{[*layers, 'its end'][same]}'")
    for layer, target in zip(layers.values(), targets, strict=True):
        _copy_name_and_flag(layer, target)
    return targets


def _copy_name_and_flag(layer: keras.Layer, target: keras.Layer) -> None:
    target.name = layer.name  # where the user's code leaves it to Keras, which counts on
    if target.trainable != layer.trainable:
        target.trainable = layer.trainable  # and of the layers inside, whose turn comes after


def _match_inputs(model: keras.Model, copied: keras.Model) -> None:
    """The same for input layers, unless the copy shares them in another way: then the config says all there is."""
    inputs, targets = (list(find_layers(each, keras.layers.InputLayer).values()) for each in (model, copied))
    if len(inputs) == len(targets):
        for layer, target in zip(inputs, targets, strict=True):
            _copy_name_and_flag(layer, target)


def _copy_weights(sources: Sequence[Any], targets: Sequence[Any]) -> None:
    shapes = [[tuple(variable.shape) for variable in variables] for variables in (sources, targets)]
    if shapes[0] != shapes[1]:
        raise ConversionError(f"the copy has {len(targets)} weights of other shapes than the model's {len(sources)}")
    for source, target in zip(sources, targets, strict=True):
        target.assign(source)
        if target.trainable != source.trainable:
            target.trainable = source.trainable


def _variables(model: keras.Model) -> list[Any]:
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    return [variable for variable in model.variables if id(variable) not in metrics]
