"""A layer that becomes another one where it stands."""

from typing import Any

import keras

# What a layer has of its place in a model, rather than of itself.
_PLACE = ("_inbound_nodes", "_outbound_nodes", "_path", "_parent_path")
# Keras wraps these methods of every new layer by functions that are bound to that very object.
_BOUND = ("build", "quantize")


class Swap:
    """Lets `layer` be `replacement`, and itself again, without any of its owners knowing.

    Graphs, attributes, containers, closures and wrappers that hold `layer` go on holding the same object. What
    changes is its class and its state, so that nothing needs to know who the owners are, and a layer that is shared
    stays shared.

    Args:
        layer: A built layer of a model.
        replacement: A built layer of the same name, of nobody else.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="layer")])
    >>> replacement = keras.layers.Dropout(0.5, name="layer")
    >>> replacement.build((None, 2))
    >>> Swap(model.layers[0], replacement).to_replacement()
    >>> type(model.layers[0]).__name__, len(model.weights)
    ('Dropout', 0)
    """

    def __init__(self, layer: keras.Layer, replacement: keras.Layer) -> None:
        self.layer = layer
        self._original = (type(layer), dict(vars(layer)))
        place = {name: vars(layer)[name] for name in _PLACE if name in vars(layer)}
        state = {name: value for name, value in vars(replacement).items() if name not in _BOUND}
        self._replacement = (type(replacement), {**state, **place})

    def to_replacement(self) -> None:
        """Makes the layer the replacement."""
        self._become(*self._replacement)

    def to_original(self) -> None:
        """Makes the layer what it was."""
        self._become(*self._original)

    def _become(self, cls: type[keras.Layer], state: dict[str, Any]) -> None:
        # Past Keras' own __setattr__, which would track a class as if it were a weight.
        object.__setattr__(self.layer, "__class__", cls)
        vars(self.layer).clear()
        vars(self.layer).update(state)
