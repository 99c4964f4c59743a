"""Sees to it that a converted model comes back from a file, though its own code makes batch normalization."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_gn.convert.copying import copy_model, users_own
from keras_gn.convert.maker import become_maker
from keras_gn.convert.tree import find_layers, is_inside


def make_loadable(model: keras.Model, converted: Iterable[str]) -> tuple[str, ...]:
    """Makes a `Maker` of each layer whose code made converted layers; a note, if Keras can't load the model then.

    Args:
        model: A converted model.
        converted: The paths of the converted layers.
    """
    layers = find_layers(model, keras.layers.Layer)
    if not users_own(layers.values()):
        return ()
    try:
        saved = _layers_in_config(model, layers.values())
    except Exception:  # noqa: BLE001 (whatever the user's layers raise; such a model can't be saved whole anyway)
        return ()
    made = [path for path in converted if id(layers[path]) not in saved]
    if not made:
        return ()
    makers = _owners(made, {path: layer for path, layer in layers.items() if id(layer) in saved})
    before = [(maker, type(maker), vars(maker).get("_converted", ())) for maker in map(layers.__getitem__, makers)]
    try:
        for owner, paths in makers.items():
            inside = {id(layer): step for step, layer in find_layers(layers[owner], keras.layers.Layer).items()}
            become_maker(layers[owner], [inside[id(layers[path])] for path in paths])
        copy_model(model, layers)
    except Exception as error:  # noqa: BLE001 (as above)
        for maker, cls, earlier in before:
            object.__setattr__(maker, "__class__", cls)
            vars(maker)["_converted"] = earlier
        return (_note(made, error),)
    return ()


def _owners(made: Iterable[str], saved: Mapping[str, keras.layers.Layer]) -> dict[str, list[str]]:
    """What each layer's code made: of the saved layers on the way to a path, the last one's."""
    owners: dict[str, list[str]] = {}
    for path in made:
        owners.setdefault(max((owner for owner in saved if is_inside(path, owner)), key=len), []).append(path)
    return owners


def _layers_in_config(model: keras.Model, layers: Iterable[keras.layers.Layer]) -> set[int]:
    """The ids of the layers that are in the config of the model, seen by being asked for their own."""
    saved: set[int] = set()
    layers = list(layers)

    def watch(layer: keras.layers.Layer) -> None:
        def note_and_get_config() -> dict[str, Any]:
            saved.add(id(layer))
            del vars(layer)["get_config"]  # Keras asks whether it is its own, and a `Maker` asks itself again
            try:
                return dict(layer.get_config())
            finally:
                vars(layer)["get_config"] = note_and_get_config

        vars(layer)["get_config"] = note_and_get_config

    try:
        for layer in layers:
            watch(layer)
        keras.saving.serialize_keras_object(model)
    finally:
        for layer in layers:
            vars(layer).pop("get_config", None)
    return saved


def _note(made: Iterable[str], error: Exception) -> str:
    made = list(made)
    return (
        f"Made by the code of your own layers: {', '.join(made[:3])}{' ...' * (len(made) > 3)}. That code makes batch "
        f"normalization again when Keras loads the converted model from a .keras file, which then fails ({error}). "
        "Export a SavedModel; or keep the original and `converted.save_weights(file)`, and later convert the original "
        "in the same way and call `load_weights(file)`."
    )
