"""Fits each converted layer to what its batch normalization put out, on a few batches of data."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_gn.convert.errors import ConversionError
from keras_gn.convert.swap import Swap
from keras_gn.convert.transfer import Affine, BatchNormValues, affine_of
from keras_gn.ops import group_normalize
from keras_gn.typing import Tensor

# The first pass brings the layers near; in the second one each sees inputs from layers that are corrected already.
_PASSES = 2
# How many times as much, or as little, as in training the outputs of batch normalization may vary on the data.
_USUAL = 4.0
# Below this variance a normalized channel says nothing about its output: its gamma stays.
_LEAST_VARIANCE = 1e-6


@dataclass
class ChannelSums:
    """Running means of z, y, z^2, y^2 and z y per channel, `[C]` in float64: of a layer's normalized values z and its
    targets y.
    """

    layer: str
    count: int = 0
    means: np.ndarray = field(default_factory=lambda: np.zeros((5, 1)))

    def add(self, z: Tensor, y: Tensor, *, axis: int) -> None:
        """Adds a batch of values, whose channels are at `axis`."""
        axes = [index for index in range(len(z.shape)) if index != axis % len(z.shape)]
        means = [ops.convert_to_numpy(ops.mean(value, axis=axes)) for value in (z, y, z * z, y * y, z * y)]
        if not np.isfinite(means).all():
            raise ConversionError(
                f"The activations of layer '{self.layer}' overflow on the calibration data. Use inputs in the range "
                "that the model was trained with, or a model in float32."
            )
        size = int(np.prod([z.shape[index] for index in axes]))
        self.count += size
        self.means = self.means + (np.asarray(means, "float64") - self.means) * (size / self.count)

    def fit(self, start: Affine) -> Affine:
        """The gamma and beta of least squares, y = gamma z + beta; gamma of `start` where z hardly varies."""
        z, y, zz, _, zy = self.means
        variance = zz - z * z
        enough = variance > _LEAST_VARIANCE
        gamma = np.where(enough, (zy - z * y) / np.where(enough, variance, 1.0), start.gamma)
        return Affine(gamma=gamma, beta=y - gamma * z)

    def relative_error(self, affine: Affine) -> float:
        """The root of mean((gamma z + beta - y)^2) over the deviation of y."""
        z, y, zz, yy, zy = self.means
        gamma, beta = affine.gamma, affine.beta
        squares = gamma**2 * zz + beta**2 + yy + 2 * (gamma * beta * z - gamma * zy - beta * y)
        return float(np.sqrt(max(squares.mean(), 0.0) / max((yy - y * y).mean(), 1e-30)))

    def relative_spread(self, values: BatchNormValues) -> float:
        """The deviation of y over that which batch normalization's moving variance implies; the channels' median."""
        _, y, _, yy, _ = self.means
        implied = np.abs(values.gamma) * np.sqrt(np.maximum(values.variance, 0.0)) / values.deviation
        alive = implied > 1e-3 * implied.max(initial=0.0)
        return float(np.median(np.sqrt(np.maximum(yy - y * y, 0.0))[alive] / implied[alive])) if alive.any() else 1.0


class LayerFit:
    """One layer's part: what the batch normalization put out for the present batch, the sums, and the fit so far.

    Args:
        swap: The layer, and what it has become.
        affine: The gamma and beta to start from.
        values: Of the batch normalization.
    """

    def __init__(self, swap: Swap, affine: Affine, values: BatchNormValues) -> None:
        self.swap = swap
        self._values = values
        self.affine = affine
        self.fitted = False
        self.sums = ChannelSums(swap.layer.name)
        self._targets: list[Tensor] = []

    @property
    def error(self) -> float | None:
        """The relative error over the last pass; None if no data came by."""
        return self.sums.relative_error(self.affine) if self.sums.count else None

    @property
    def spread(self) -> float | None:
        """How many times as much as in training the batch normalization's outputs varied; None if no data came by."""
        return self.sums.relative_spread(self._values) if self.sums.count else None

    def watch_original(self) -> None:
        """Makes the layer the batch normalization, and keeps what it puts out."""
        self.swap.to_original()
        self._targets.clear()
        layer = self.swap.layer
        call = layer.call

        def call_and_keep(inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            outputs = call(inputs, *args, **kwargs)
            if has_values(outputs):
                # Without its gradient, for which torch would keep the activations of all layers.
                self._targets.append(ops.stop_gradient(outputs))
            return outputs

        vars(layer)["call"] = call_and_keep

    def watch_replacement(self) -> None:
        """Makes the layer its replacement, which learns from each call and corrects itself at once."""
        self.swap.to_replacement()
        layer = self.swap.layer
        call = layer.call

        def call_and_learn(inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if not self._targets or not has_values(inputs):  # inside of a graph, such as a loop over time
                return call(inputs, *args, **kwargs)
            return self._learn(inputs, self._targets.pop(0))

        vars(layer)["call"] = call_and_learn

    def _learn(self, inputs: Tensor, target: Tensor) -> Tensor:
        layer = self.swap.layer
        wide = ops.cast(ops.stop_gradient(inputs), "float32")
        z = group_normalize(wide, groups=layer.groups, axis=layer.axis, epsilon=layer.epsilon)
        self.sums.add(z, ops.cast(target, "float32"), axis=layer.axis)
        if not self.fitted:
            self.affine = self.sums.fit(self.affine)
        shape = [-1 if index == layer.axis % len(z.shape) else 1 for index in range(len(z.shape))]
        gamma, beta = (ops.reshape(ops.cast(v, "float32"), shape) for v in (self.affine.gamma, self.affine.beta))
        return ops.cast(z * gamma + beta, target.dtype)


def calibrate(model: keras.Model, fits: Sequence[LayerFit], batches: Sequence[Any], *, verbose: bool = False) -> None:
    """Fits each layer's gamma and beta by least squares to the batch normalization's outputs on the same data.

    For each batch, the model runs with batch normalization, whose outputs are kept, and then with its replacements.
    Each of these updates its per-channel sums, solves for gamma and beta, and hands the corrected output on: so
    the layers are fitted in the order in which data reaches them, to inputs that are corrected already, and no
    more than one batch of activations is ever kept, whatever the depth.

    Leaves the model with its replacements, and the results in `fits`; sets no weights.
    """
    progress = keras.utils.Progbar(_PASSES * len(batches), verbose=int(verbose), unit_name="batch")
    for _ in range(_PASSES):
        _pass_over(model, fits, batches, progress)


def doubt_data(fits: Iterable[LayerFit]) -> tuple[str, ...]:
    """A note if the data that came by can't be scaled as the model's inputs were; the median of the layers decides."""
    spreads = [fit.spread for fit in fits if fit.spread is not None]
    if not spreads or 1 / _USUAL < (spread := float(np.median(spreads))) < _USUAL:
        return ()
    return (
        f"On the calibration data the outputs of BatchNormalization vary {spread:.3g} times as much as in training: "
        "are the data prepared as the model's inputs were, and scaled (0 to 255, or 0 to 1)?",
    )


def measure(model: keras.Model, fits: Sequence[LayerFit], batches: Sequence[Any]) -> None:
    """Takes the errors of the layers with the gamma and beta that they have now."""
    for fit in fits:
        fit.affine, fit.fitted = affine_of(fit.swap.layer), True
    _pass_over(model, fits, batches, keras.utils.Progbar(len(batches), verbose=0))


def _pass_over(
    model: keras.Model, fits: Sequence[LayerFit], batches: Sequence[Any], progress: keras.utils.Progbar
) -> None:
    for fit in fits:
        fit.sums = ChannelSums(fit.swap.layer.name)
    for batch in batches:
        for fit in fits:
            fit.watch_original()
        model(batch, training=False)
        for fit in fits:
            fit.watch_replacement()
        model(batch, training=False)
        progress.add(1)
    for fit in fits:
        fit.swap.to_replacement()


@contextmanager
def same_state(model: keras.Model, layers: Iterable[keras.Layer]) -> Iterator[None]:
    """Takes back what running a model does to its state, and to the recurrent states among all its `layers`."""
    # Keras doesn't count recurrent states among a model's variables.
    recurrent = [layer for layer in layers if isinstance(layer, keras.layers.RNN) and layer.stateful]
    states = [state for layer in recurrent for state in keras.tree.flatten(layer.states)]
    before = [(state, ops.convert_to_numpy(state)) for state in (*model.non_trainable_variables, *states)]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def has_values(tensor: Tensor) -> bool:
    """Whether a tensor is computed, rather than a place in a graph that is being traced."""
    try:
        ops.convert_to_numpy(tensor)
    except Exception:  # noqa: BLE001 (each backend raises its own)
        return False
    return True
