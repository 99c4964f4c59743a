"""Models of every kind beside their conversions, each made once for a file of tests."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest

from convert.models import KINDS, Kind
from keras_gn.convert import convert_bn_to_gn


def arrays(structure):
    """The tensors of a nested structure, in order, as arrays."""
    return [keras.ops.convert_to_numpy(tensor) for tensor in keras.tree.flatten(structure)]


def weights_of(model):
    """Every variable of the model but those of its metrics, in order, with their names."""
    of_metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    return [
        (variable.name, keras.ops.convert_to_numpy(variable))
        for variable in model.variables
        if id(variable) not in of_metrics
    ]


def identical(one, other):
    """Whether two lists of names and arrays are the same bit for bit."""
    return len(one) == len(other) and all(
        name == other_name and array.dtype == other_array.dtype and array.tobytes() == other_array.tobytes()
        for (name, array), (other_name, other_array) in zip(one, other, strict=True)
    )


def all_layers(model):
    """The layers that Keras lists in the model and in its layers; one of two owners twice."""
    return list(model._flatten_layers(include_self=False))


@dataclass(frozen=True)
class Converted:
    """A model, what it was before the conversion, and what came out."""

    kind: Kind
    inputs: Any
    model: keras.Model
    outputs: list[np.ndarray]
    weights: list[tuple[str, np.ndarray]]
    layers: list[tuple[str, type, bool]]
    converted: keras.Model

    @property
    def pairs(self):
        """Each layer of the model with its counterpart."""
        return list(zip(all_layers(self.model), all_layers(self.converted), strict=True))

    @property
    def norms(self):
        """The distinct BatchNormalization layers, each with what it became."""
        return list(
            {
                id(old): (old, new) for old, new in self.pairs if isinstance(old, keras.layers.BatchNormalization)
            }.values()
        )


@pytest.fixture(scope="module", params=KINDS)
def case(request):
    kind = KINDS[request.param]
    model, inputs = kind.make(), kind.inputs()
    return Converted(
        kind=kind,
        inputs=inputs,
        model=model,
        outputs=arrays(model(inputs, training=False)),
        weights=weights_of(model),
        layers=[(layer.name, type(layer), layer.trainable) for layer in all_layers(model)],
        converted=convert_bn_to_gn(model),
    )
