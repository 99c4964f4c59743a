"""Gradient checkpointing: training keeps what residual blocks put out, and computes what lies between a second time."""

import os
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import keras

BLOCK_OUTPUT = r"stage\d_block\d+_out"
_Run = Callable[[Any], Any]


def functional_model(image: keras.KerasTensor, outputs: Any, *, name: str, remat: bool = False) -> keras.Model:
    """The model from `image` to `outputs`.

    Args:
        image: A `keras.Input`.
        outputs: Of the model, a tensor or a dict.
        name: Of the model.
        remat: Whether its training saves memory, see `RematModel`.
    """
    kind = RematModel if remat else keras.Model
    return kind(image, outputs, name=name)


class RematModel(keras.Model):
    """A model of residual blocks whose training needs less memory and more time (Chen et al., arXiv 1604.06174).

    A training step keeps the output of each block. The gradient of a block computes its inner activations anew: one
    more forward pass a step, and the memory of the blocks' outputs and of one block. Outputs and gradients are the
    same, moving statistics move once, and inference is as without. `save` writes the plain model, which loads
    everywhere.

    Keras' own `keras.RematScope` takes each layer alone and so keeps every layer's input; and a batch norm's update in
    a recomputed layer runs twice on TensorFlow and fails on JAX.
    """

    def __init__(self, image: keras.KerasTensor, outputs: Any, *, name: str) -> None:
        super().__init__(image, outputs, name=name)
        # Variables come as they are; each layer casts for itself.
        self.autocast = False
        self.dtype_policy = "float32"
        ends = [layer.output for layer in self.layers if re.fullmatch(BLOCK_OUTPUT, layer.name)]
        # In a function, for Keras would count models that it finds as layers.
        self._run = _run_of(image, ends, outputs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return self._run(inputs) if training else super().call(inputs, training=training, mask=mask)

    def save(self, filepath: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """As Keras' `save`, without what is of training only."""
        keras.Model(self.input, self.output, name=self.name).save(filepath, *args, **kwargs)


def _run_of(image: keras.KerasTensor, ends: list[keras.KerasTensor], outputs: Any) -> _Run:
    """What computes `outputs`: blocks from `image` to each of `ends`, and what comes after the last one, if any."""
    blocks = [keras.Model(start, end) for start, end in pairwise([image, *ends])]
    place = {id(end): index for index, end in enumerate(ends)}
    are_ends = all(id(output) in place for output in keras.tree.flatten(outputs))
    rest = None if are_ends else keras.Model(ends[-1], outputs)

    def run(x: Any) -> Any:
        values = []
        for block in blocks:
            x = _recomputed(block, x)
            values.append(x)
        if rest is not None:
            return rest(x, training=True)
        return keras.tree.map_structure(lambda output: values[place[id(output)]], outputs)

    return run


def _recomputed(block: keras.Model, x: Any) -> Any:
    """What `block` makes of `x` in training; its gradient runs the block again.

    What is run twice must have no effects, so variables go in as values, and their updates come out.
    """
    variables = block.variables
    updated: list[keras.Variable] = []

    def run(x: Any, *values: Any) -> list[Any]:
        with keras.StatelessScope(list(zip(variables, values, strict=True))) as scope:
            before = [scope.get_current_value(variable) for variable in variables]
            y = block(x, training=True)
        after = [scope.get_current_value(variable) for variable in variables]
        moved = [new is not old for new, old in zip(after, before, strict=True)]
        updated[:] = [variable for variable, has_moved in zip(variables, moved, strict=True) if has_moved]
        return [y, *(new for new, has_moved in zip(after, moved, strict=True) if has_moved)]

    y, *updates = keras.remat(run)(x, *(variable.value for variable in variables))
    for variable, value in zip(updated, updates, strict=True):
        variable.assign(value)
    return y
