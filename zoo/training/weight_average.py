"""The exponential moving average of the weights: what is validated, and kept as the best model."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np


class WeightAverage:
    """For an optimizer of Keras, which keeps the average with `use_ema=True`, as variables of its own:

        average = ema * average + (1 - ema) * weight    after each step; at first, the weight

    Keras puts it in the weights' place when a `fit` ends. Here the training goes on with its own weights.
    """

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        """Nothing: a `fit` may be a part of a run."""

    def put_average(self, variables: list[keras.Variable]) -> None:
        """Sets all trained variables, in their order, to their averages."""
        super().finalize_variable_values(variables)
        for variable in variables:  # on JAX it is the average's own array, which the next step may delete
            variable.assign(keras.ops.copy(variable))


@contextmanager
def averaged_weights(trainer: keras.Model) -> Iterator[None]:
    """While in it, the trainer's network has the averages of its weights; its own ones if there is no average."""
    optimizer: Any = getattr(trainer.optimizer, "inner_optimizer", trainer.optimizer)  # of a loss scale
    if not optimizer.use_ema:
        yield
        return
    variables = trainer.trainable_variables
    with trainer.distribute_strategy.scope():
        own = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
        optimizer.put_average(variables)
    try:
        yield
    finally:
        with trainer.distribute_strategy.scope():
            for variable, value in zip(variables, own, strict=True):
                variable.assign(value)


class ValidateAverage(keras.callbacks.Callback):
    """Has `fit` validate the averaged weights."""

    def __init__(self) -> None:
        super().__init__()
        self._averaged = ExitStack()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._averaged.enter_context(averaged_weights(self.model))

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        self._averaged.close()
