"""A layer whose own code makes batch normalization: converted, it comes back from a file with what that became."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from keras_gn.convert.errors import ConversionError
from keras_gn.convert.swap import Swap
from keras_gn.convert.tree import find_layers

_register = keras.saving.register_keras_serializable(package="keras_gn", name="Maker")
_MAKERS: dict[type[keras.layers.Layer], type[keras.layers.Layer]] = {}


@_register
class Maker:
    """What the class of a user's layer gets in front of it, when layers that its code makes have been converted.

    Keras saves such a layer as the arguments of its `__init__`, which would make batch normalization again. This saves
    the layers that have taken its place too, and puts them there when the layer is loaded.
    """

    _converted: tuple[str, ...]  # paths from here

    def get_config(self) -> dict[str, Any]:
        """The layer as it would be saved without a conversion, and the converted layers by their paths from it."""
        layers = find_layers(self, keras.layers.Layer)
        converted = {path: keras.saving.serialize_keras_object(layers[path]) for path in self._converted}
        with _as_written(self):
            layer = keras.saving.serialize_keras_object(self)
        layer.pop("compile_config", None)  # this object's own
        return {"name": layer["config"].get("name"), "layer": layer, "converted": converted}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> keras.layers.Layer:
        """The layer, made by its own code, with the converted layers in their places.

        Raises:
            ConversionError: If its code doesn't make batch normalization there any more.
        """
        layer = keras.saving.deserialize_keras_object(config["layer"])
        made = find_layers(layer, keras.layers.BatchNormalization)
        missing = [path for path in config["converted"] if path not in made]
        if missing:
            raise ConversionError(
                f"The layer '{layer.name}' of type {type(layer).__name__} was saved with converted layers at "
                f"{', '.join(missing)}, where its code makes no batch normalization now. Load it with the code that "
                f"it was converted with. Found: {', '.join(made) or 'none'}"
            )
        for path, replacement in config["converted"].items():
            Swap(made[path], keras.saving.deserialize_keras_object(replacement)).to_replacement()
        become_maker(layer, config["converted"])
        return layer


def class_of(layer: keras.layers.Layer) -> type[keras.layers.Layer]:
    """The class as its user wrote it."""
    return type(layer).__mro__[2] if isinstance(layer, Maker) else type(layer)


def become_maker(layer: keras.layers.Layer, converted: Iterable[str]) -> None:
    """Makes a `Maker` of a layer, with the paths from it to what was converted, besides those that it has already."""
    # Past Keras' own __setattr__, as in a `Swap`.
    vars(layer)["_converted"] = (*vars(layer).get("_converted", ()), *converted)
    object.__setattr__(layer, "__class__", _maker_class(class_of(layer)))


def _maker_class(cls: type[keras.layers.Layer]) -> type[keras.layers.Layer]:
    """A subclass of the same name, one for each class, which Keras takes for a `Maker` when it saves and loads."""
    if cls not in _MAKERS:
        maker = type(cls.__name__, (Maker, cls), {"__module__": Maker.__module__, "__doc__": cls.__doc__})
        _MAKERS[cls] = _register(maker)
        _register(Maker)  # the name leads to it, and every maker class to the name
    return _MAKERS[cls]


@contextmanager
def _as_written(layer: keras.layers.Layer) -> Iterator[None]:
    """The layer with the class that its user wrote."""
    maker = type(layer)
    object.__setattr__(layer, "__class__", class_of(layer))
    try:
        yield
    finally:
        object.__setattr__(layer, "__class__", maker)
