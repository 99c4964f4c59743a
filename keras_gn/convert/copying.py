"""A faithful copy of a model, by Keras' own serialization."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import keras

from keras_gn.convert.errors import ConversionError
from keras_gn.convert.tree import find_layers, members_of

try:  # Makes one layer of all with the same id. Used for every .keras file, but not in Keras' public API.
    from keras.src.saving.serialization_lib import ObjectSharingScope
except ImportError:  # A future Keras: the check of the copy's layers then refuses models that share between models.
    ObjectSharingScope = nullcontext


def copy_model(model: keras.Model) -> keras.Model:
    """A copy of `model` that shares nothing with it, not compiled, with equal weights.

    Raises:
        ConversionError: If the model can't be serialized, or if what comes back isn't the same model.
    """
    layers = find_layers(model, keras.layers.Layer)
    classes = {type(layer).__name__: type(layer) for layer in layers.values()}
    try:
        with keras.saving.custom_object_scope(_users_own(classes)):
            copied = _serialized_and_back(model)
        _check_same_layers(layers, find_layers(copied, keras.layers.Layer))
        _copy_weights(model, copied)
    except Exception as error:  # whatever the user's own layers raise from their serialization
        raise ConversionError(
            f"The model '{model.name}' can't be copied by Keras' serialization, which a conversion that leaves the "
            f"original alone needs. Received: {type(error).__name__}: {error}. Give these layers a `get_config` that "
            "returns all arguments of `__init__`, or convert the model itself with inplace=True."
        ) from error
    return copied


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


def _users_own(classes: Mapping[str, type]) -> dict[str, type]:
    return {name: cls for name, cls in classes.items() if cls.__module__.split(".")[0] != "keras"}


def _check_same_layers(layers: Mapping[str, keras.Layer], copied: Mapping[str, keras.Layer]) -> None:
    def described(found: Mapping[str, keras.Layer]) -> dict[str, type]:
        return {path: type(layer) for path, layer in found.items()}

    if described(layers) != described(copied):
        different = sorted(set(described(layers).items()) ^ set(described(copied).items()), key=str)
        paths = ", ".join(dict.fromkeys(path for path, _ in different[:6]))
        raise ConversionError(f"the copy differs from the model at {paths}")


def _copy_weights(model: keras.Model, copied: keras.Model) -> None:
    """Copies every weight by its place among the weights, and the trainable flags by layer."""
    sources, targets = _variables(model), _variables(copied)
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
