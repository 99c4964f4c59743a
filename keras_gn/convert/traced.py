"""Functions that TensorFlow has traced: they go on computing what a layer was when they were traced."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_gn.convert.errors import ConversionError
from keras_gn.convert.tree import find_layers, is_inside

# Keras makes its own anew after a conversion.
_KERAS_OWN = {"train_function", "test_function", "predict_function"}


def refuse_traced(model: keras.Model, converted: Iterable[str]) -> None:
    """Refuses a model in which a user's `tf.function` around a converted layer has been traced before.

    Args:
        model: The model.
        converted: The paths of the converted layers in it.

    Raises:
        ConversionError: There is one; it would call batch normalization for ever.
    """
    converted = list(converted)
    for path, layer in find_layers(model, keras.layers.Layer).items():
        if any(is_inside(each, path) for each in converted) and (traced := list(_traced(layer))):
            raise ConversionError(
                f"Layer '{path or model.name}' of type {type(layer).__name__} has a tf.function, "
                f"{', '.join(f'`{name}`' for name in traced)}, that was traced with batch normalization and would go "
                "on computing it. Take the decorator away: Keras compiles whole models by itself."
            )


def _traced(layer: keras.layers.Layer) -> Iterator[str]:
    """The names of a layer's traced functions. Known by what they have, for this package needs no TensorFlow."""
    of_classes = {name: value for cls in reversed(type(layer).__mro__) for name, value in vars(cls).items()}
    for name, value in (of_classes | vars(layer)).items():
        if name not in _KERAS_OWN and hasattr(value, "experimental_get_tracing_count"):
            # Each object has a function of its own behind that of its class.
            function: Any = getattr(layer, name)
            if function.experimental_get_tracing_count():
                yield name
