"""The groups and epsilons of a model, maybe in a `.keras` file, for a new model that takes its weights."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import keras

from zoo.models.norms import Norm
from zoo.models.saved_layers import Weights, layers_with_weights

# What a norm computes with besides its weights. The shapes of these say nothing of it.
_SETTINGS = ("groups", "channels_per_group", "epsilon")


def as_saved(norm: Norm, weights: Weights) -> Norm:
    """`norm`, whose layers get the groups and epsilon of the layer of that name in `weights`, if it is alike.

    A converted model has other groups in every layer (`keras_gn.convert_bn_to_gn`), and its weights are of no use with
    others. Of a file that holds no model, and so no settings, the norm stays as it is.

    Args:
        norm: Makes the layers.
        weights: The file or the model that the weights will come from.

    >>> from zoo.models.norms import parse_norm
    >>> as_saved(parse_norm("gn"), "model.weights.h5").factory("stem_norm").groups
    32
    """
    saved = _settings(weights)

    def factory(name: str) -> keras.Layer:
        layer = norm.factory(name)
        kind, settings = saved.get(name, (None, {}))
        own = layer.get_config() if kind == type(layer).__name__ else {}
        taken = {key: settings[key] for key in _SETTINGS if key in own and key in settings}
        return type(layer).from_config({**own, **taken}) if taken else layer

    return replace(norm, factory=factory)


def _settings(weights: Weights) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """(class, config) of every layer, by its name."""
    if isinstance(weights, keras.Model):
        layers = layers_with_weights(weights)
        return {name: (type(layer).__name__, layer.get_config()) for name, layer in layers.items()}
    try:
        with zipfile.ZipFile(weights) as archive:
            return dict(_layers(json.loads(archive.read("config.json"))))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return {}  # what is wrong with a file is said when its weights are loaded


def _layers(config: Any) -> Iterator[tuple[str, tuple[str, Mapping[str, Any]]]]:
    """(name, (class, config)) of every layer in the JSON of a model, however deep."""
    if isinstance(config, list):
        for part in config:
            yield from _layers(part)
    elif isinstance(config, dict):
        inner = config.get("config")
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            yield inner["name"], (str(config.get("class_name")), inner)
        for part in config.values():
            yield from _layers(part)
