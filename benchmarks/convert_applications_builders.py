"""The builders of keras.applications, found by looking, and models made by them."""

import inspect
from collections.abc import Callable

import keras
import numpy as np

Builder = Callable[..., keras.Model]

# Pixels; the first that a builder accepts. Smaller ones would leave maps of 1x1, larger ones only take longer.
_SIZES = (64, 96, 128, 224, 331)


def find_builders() -> dict[str, Builder]:
    """The public functions of keras.applications and its modules that take `weights`, each once, by name.

    >>> builders = find_builders()
    >>> "ResNet50" in builders, "preprocess_input" in builders
    (True, False)
    """
    modules = [keras.applications]
    modules += [module for _, module in inspect.getmembers(keras.applications, inspect.ismodule)]
    names: dict[Builder, str] = {}
    for module in modules:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if not name.startswith("_") and "weights" in inspect.signature(function).parameters:
                names.setdefault(function, name)
    return {name: function for function, name in sorted(names.items(), key=lambda item: item[1])}


def build(name: str) -> keras.Model:
    """The model of this name with its 1000 classes, that returns logits, for small images.

    Raises:
        ValueError: If the builder refuses every size.
    """
    builder = find_builders()[name]
    refusals = []
    for size in _SIZES:
        try:
            return builder(weights=None, input_shape=(size, size, 3), classifier_activation=None)
        except ValueError as refusal:
            refusals.append(str(refusal))
    raise ValueError(f"{name} was built for none of {_SIZES} pixels: {refusals[-1]}")


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Those that Keras itself lists in the model and in the models inside it."""
    return [layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The model's layers in order, each nested model followed by its own."""
    layers = []
    for layer in model.layers:
        layers += [layer, *(all_layers(layer) if isinstance(layer, keras.Model) else [])]
    return layers


def randomize_batch_norms(model: keras.Model) -> None:
    """Gives every BatchNormalization parameters and moving statistics that are far from their neutral ones."""
    random = np.random.default_rng(0)
    for layer in batch_norms(model):
        for variable in layer.variables:
            spread_around_one = variable.name in ("gamma", "moving_variance")
            values = (
                random.uniform(0.5, 1.5, variable.shape) if spread_around_one else random.normal(size=variable.shape)
            )
            variable.assign(values)
