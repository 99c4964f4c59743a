"""Weights from a file or a model into a model, layer by layer, by name."""

import logging
import os
from collections.abc import Collection, Mapping
from typing import Any

import keras

from zoo.errors import UserError
from zoo.models.inflate import inflate, is_for_images
from zoo.models.saved_layers import (
    SavedLayer,
    Weights,
    is_detector,
    layers_with_weights,
    own_variables,
    saved_layers,
)

logger = logging.getLogger(__name__)

# How many of the layers that differ an error names.
SHOWN = 5
# How the names of a detector's backbone begin, whichever of its parts they are in, and what a classifier adds.
BACKBONE = ("stem_", "stage")
LOGITS = "logits"
# Layers with outputs for each class, of classifiers and detectors; the first ones tell how many classes there are.
COUNTING = (LOGITS, "class_logits")
OF_CLASSES = (*COUNTING, "box_deltas", "mask_logits")


def load_weights(model: keras.Model, weights: Weights, *, other_classes: bool = False) -> None:
    """Loads the weights of `model`; the names, kinds and shapes of all layers must agree.

    Keras itself matches layers by their order, ignores what the file has too much of, and loads a part
    before it finds a difference; here a file of another architecture is refused before anything is loaded.

    A detector takes a detector's weights, or a classifier's for its backbone; a model for videos takes one's for
    videos, or one's for images, inflated, but for the logits. What isn't taken stays as it is.

    Args:
        model: Built, of uniquely named layers.
        weights: A `.weights.h5` or `.keras` file written by Keras, or another such model.
        other_classes: Whether layers with outputs for each class stay as they are where the weights are for another
            number of classes; the log names them. They are refused otherwise.

    Raises:
        UserError: If the file is missing, is not such a file, or is of another architecture.
    """
    with saved_layers(weights, parts_too=is_detector(model)) as saved:
        layers = layers_with_weights(model)
        if is_for_images(saved, layers):
            saved = inflate(_without(saved, [LOGITS]), layers)
            layers = _without(layers, [LOGITS])
        elif _is_of_a_classifier(saved, model):
            layers = {name: layer for name, layer in layers.items() if name.startswith(BACKBONE)}
            saved = _without(saved, [LOGITS])
        if other_classes and (fresh := _of_other_classes(layers, saved)):
            logger.info("start afresh, for another number of classes than in %s: %s", _named(weights), ", ".join(fresh))
            layers, saved = _without(layers, fresh), _without(saved, fresh)
        _load(layers, saved, model, weights)


def _without(layers: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: layer for name, layer in layers.items() if name not in names}


def _of_other_classes(layers: Mapping[str, keras.Layer], saved: Mapping[str, SavedLayer]) -> list[str]:
    """The layers that differ in the number of classes only, if there is another number."""
    found = []
    for name in (name for name in OF_CLASSES if name in layers and name in saved):
        own, other = _shapes(layers[name]), saved[name].shapes()
        if own != other and [shape[:-1] for shape in own] == [shape[:-1] for shape in other]:
            found.append(name)
    return found if set(COUNTING) & set(found) else []


def _load(
    layers: Mapping[str, keras.Layer], saved: Mapping[str, SavedLayer], model: keras.Model, weights: Weights
) -> None:
    """All of the layers' weights, or none where a layer differs."""
    differences = [
        difference
        for name in [*layers, *(name for name in saved if name not in layers)]
        if (difference := _difference(name, layers.get(name), saved.get(name)))
    ]
    if differences:
        more = len(differences) - SHOWN
        raise UserError(
            f"`weights` must be of the same architecture as the model '{model.name}'. "
            f"Received: weights={_named(weights)}, which differs in {len(differences)} layers: "
            + "; ".join(differences[:SHOWN])
            + (f"; and {more} more" if more > 0 else "")
            + ". Build the model with the name, norm, num_classes, input_shape and options of the file."
        )
    for name, layer in layers.items():
        layer.load_own_variables(saved[name].arrays())


def _named(weights: Weights) -> str:
    return f"the model '{weights.name}'" if isinstance(weights, keras.Model) else repr(os.fspath(weights))


def _shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in own_variables(layer).values()]


def _is_of_a_classifier(saved: Mapping[str, SavedLayer], model: keras.Model) -> bool:
    """Whether `model` is a detector and the weights are not."""
    return is_detector(model) and not {layer.name for layer in model.rpn.layers} & saved.keys()


def _difference(name: str, layer: keras.Layer | None, saved: SavedLayer | None) -> str | None:
    """How the layer called `name` differs between model and file, or None."""
    if layer is None:
        return f"'{name}' is in the file only"
    if len(own_variables(layer)) < len(layer.weights):
        return f"'{name}' keeps variables in inner layers, which only Model.load_weights can load"
    if saved is None:
        return f"'{name}' is in the model only"
    kind = type(layer).__name__
    if saved.kind != kind.lower():
        return f"'{name}' is a {kind} in the model, a {saved.kind} in the file"
    shapes = _shapes(layer)
    if saved.shapes() != shapes:
        return f"'{name}' has variables of shapes {shapes} in the model, {saved.shapes()} in the file"
    return None
