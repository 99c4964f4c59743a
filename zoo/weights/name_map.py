"""A model's weights from another library's state dict, by a map of the layers' names."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from keras_gn.layers import StandardizedConv2D, StandardizedConv3D
from zoo.errors import UserError
from zoo.weights.state_dict import StateDict

# Pattern of a name, its form elsewhere, and what is added to the numbers in it (None: a word).
Renames = Sequence[tuple[str, str, tuple[int | None, ...]]]
Arrange = Callable[[np.ndarray], np.ndarray]

# How many of the tensors that don't fit an error names.
_SHOWN = 10
# Counters of training steps, which no inference needs.
_UNUSED = ".num_batches_tracked"
# Keras' variables in torch's words.
_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


@dataclass(frozen=True)
class Source:
    """The tensor called `name`, of which `arrange` makes the value of `variable`."""

    name: str
    variable: keras.Variable
    arrange: Arrange

    def value(self, array: np.ndarray) -> np.ndarray | None:
        """What to assign, or None if `array` doesn't fit."""
        try:
            arranged = self.arrange(array)
        except (ValueError, IndexError):
            return None
        return arranged if array.dtype.kind in "fiu" and arranged.shape == tuple(self.variable.shape) else None

    def misfit(self, array: np.ndarray) -> str:
        """Says that it doesn't."""
        own = tuple(self.variable.shape)
        return f"'{self.name}' {array.shape} {array.dtype} doesn't fit '{self.variable.path}' {own}"


@dataclass(frozen=True)
class Library:
    """Whose state dict it is, for messages: its name, and what a model must be built with."""

    name: str
    advice: str

    def sources(
        self,
        model: keras.Model,
        layers: Mapping[str, keras.Layer],
        *,
        name_of: Callable[[str], str | None],
        arrange_of: Callable[[str], Arrange],
    ) -> Iterator[Source]:
        """One for each weight of `layers`.

        Args:
            model: What they belong to.
            layers: By their names.
            name_of: A layer's name -> what the library calls it, or None if it has none such.
            arrange_of: A layer's name -> what makes the library's tensors ours.

        Raises:
            UserError: If the library has no layer like one of the model's.
        """
        for name, layer in layers.items():
            renamed = name_of(name)
            for variable in layer.weights:
                kind = _VARIABLES.get(variable.name)
                if renamed is None or kind is None or isinstance(layer, StandardizedConv2D | StandardizedConv3D):
                    raise UserError(
                        f"`model` must have layers like {self.name}'s. Received: model '{model.name}' with the "
                        f"{type(layer).__name__} '{name}'. Build it with norms such as 'frozen_bn' and 'gn'."
                    )
                yield Source(f"{renamed}.{kind}", variable, arrange_of(name))

    def set_weights(
        self, model: keras.Model, state: Mapping[str, np.ndarray], sources: Iterator[Source], *, weights: StateDict
    ) -> None:
        """Sets every variable of `sources`, or none where a tensor is missing, left over, or doesn't fit.

        Args:
            model: What they belong to.
            state: Arrays by the library's names.
            sources: Of all weights.
            weights: What `state` was read from.

        Raises:
            UserError: If there is such a tensor.
        """
        by_name = {source.name: source for source in sources}
        values = {name: by_name[name].value(array) for name, array in state.items() if name in by_name}
        differences = [f"'{name}' is missing" for name in by_name if name not in values]
        differences += [by_name[name].misfit(state[name]) for name, value in values.items() if value is None]
        differences += [
            f"'{name}' is left over" for name in state if name not in by_name and not name.endswith(_UNUSED)
        ]
        if differences:
            more = len(differences) - _SHOWN
            received = "a mapping" if isinstance(weights, Mapping) else repr(os.fspath(weights))
            raise UserError(
                f"`weights` must be {self.name}'s state dict of the same architecture as the model '{model.name}'. "
                f"Received: weights={received}, which differs in {len(differences)} tensors: "
                + "; ".join(differences[:_SHOWN])
                + (f"; and {more} more" if more > 0 else "")
                + f". Build the model with the {self.advice} of the file."
            )
        for name, value in values.items():
            by_name[name].variable.assign(value)


def rename(name: str, renames: Renames) -> str | None:
    """What `name` is called by the first of `renames` that knows it.

    >>> rename("stage3_block2_conv1", [(r"stage(\\d)_block(\\d+)_conv1", "layer{}.{}.conv1", (-1, -1))])
    'layer2.1.conv1'
    """
    for pattern, form, shifts in renames:
        if match := re.fullmatch(pattern, name):
            parts = zip(match.groups(), shifts, strict=True)
            return form.format(*(part if shift is None else int(part) + shift for part, shift in parts))
    return None


def channels_last(array: np.ndarray) -> np.ndarray:
    """torch's tensor as Keras keeps it.

    [out, in] as [in, out], and with any axes behind these, (time,) height and width, those first; [out] as it is. Of a
    transposed convolution [in, out, H, W] as [H, W, out, in].

    >>> channels_last(np.zeros((64, 3, 5, 7, 7))).shape
    (5, 7, 7, 3, 64)
    """
    return array.transpose(*range(2, array.ndim), 1, 0) if array.ndim > 1 else array
