"""How far a student's outputs are from its teacher's."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from keras_gn.typing import Tensor

# (teacher's output, student's output) -> one loss, or one for each row
OutputLoss = Callable[[Tensor, Tensor], Tensor]

_DIVERGENCE: OutputLoss = keras.losses.kl_divergence


def output_losses(targets: Sequence[Any], loss: Any = "auto") -> list[OutputLoss]:
    """The loss of each output, from the teacher's outputs for some batches.

    With "auto", the divergence where all rows of an output are distributions, and otherwise the mean squared error by
    the variance.
    """
    by_output = list(zip(*(leaves(target) for target in targets), strict=True))
    if loss != "auto":
        return [keras.losses.get(loss)] * len(by_output)
    return [_natural_loss(arrays) for arrays in by_output]


def leaves(outputs: Any) -> list[Any]:
    """The tensors of a structure of outputs, in Keras' order, without places that hold none."""
    return [output for output in tree.flatten(outputs) if output is not None]


def _natural_loss(arrays: Sequence[np.ndarray]) -> OutputLoss:
    if all(map(_holds_distributions, arrays)):
        return _DIVERGENCE
    variance = np.var(np.concatenate([array.ravel() for array in arrays]).astype("float64"))
    return partial(_squared_error, scale=1 / variance if variance > 0 else 1.0)


def _holds_distributions(array: np.ndarray) -> bool:
    """Whether each row is non-negative with a sum of 1, up to the rounding of half precision."""
    rows = array.astype("float64")
    return rows.ndim > 1 and rows.shape[-1] > 1 and rows.min() >= 0 and bool(np.allclose(rows.sum(-1), 1, atol=1e-2))


def _squared_error(target: Tensor, output: Tensor, *, scale: float) -> Tensor:
    return ops.mean(ops.square(output - target)) * scale
