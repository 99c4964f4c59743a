"""Trains gamma and beta of the converted layers, and nothing else, towards what batch normalization made of data."""

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from keras_gn.convert.lesson import Lesson, Run, outputs_for, runner, without_loops
from keras_gn.convert.output_losses import output_losses
from keras_gn.convert.swap import Swap
from keras_gn.convert.tree import find_layers
from keras_gn.typing import Tensor

# Gamma and beta are few and of the size of 1: they bear ten times what suits all weights.
_LEARNING_RATE = 1e-3


def refine(
    model: keras.Model,
    swaps: Sequence[Swap],
    batches: Sequence[Any],
    *,
    reached: Container[int],
    steps: int,
    verbose: bool = False,
) -> str | None:
    """What `keras_gn.convert.distill` does, for the gamma and beta of the converted layers alone.

    The same model is teacher and student, for each of its layers can be what it was. Leaves it with its replacements,
    and with the gamma and beta that it had where these do better on the data.

    Args:
        model: With its replacements.
        swaps: Of all converted layers.
        batches: Inputs.
        reached: The ids of the layers outside of loops that get any data.
        steps: Of training.
        verbose: Whether to show a progress bar.

    Returns:
        Why the model can't be trained, as a note; None if it can.
    """
    outside = {id(layer) for layer in without_loops(find_layers(model, keras.layers.Layer)).values()}
    layers = [swap.layer for swap in swaps if id(swap.layer) in reached or id(swap.layer) not in outside]
    learn = runner(model, [layer for layer in layers if id(layer) in outside])
    teach = _as_original(learn, swaps)
    before = [layer.get_weights() for layer in layers]
    note = None
    try:
        with _trainable(layers):
            lesson = Lesson(layers, teach, learn, output_losses(outputs_for(teach, batches)))
            loss = lesson.loss_on(batches)
            # Without mixtures, which help where all weights learn: so few can hardly learn the data by heart.
            lesson.give(batches, steps=steps, learning_rate=_LEARNING_RATE, mixup=False, verbose=verbose)
            if lesson.loss_on(batches) < loss:
                return None
    except Exception as error:  # noqa: BLE001 (what a backend raises for code that it can't trace or differentiate)
        reason = f"{type(error).__name__}: {error}"
        note = f"Gamma and beta are those of least squares, for the model can't be trained: {reason}"
    for layer, weights in zip(layers, before, strict=True):
        layer.set_weights(weights)
    return note


def _as_original(run: Run, swaps: Sequence[Swap]) -> Run:
    def run_original(inputs: Any) -> tuple[Any, list[Tensor]]:
        for swap in swaps:
            swap.to_original()
        try:
            return run(inputs)
        finally:
            for swap in swaps:
                swap.to_replacement()

    return run_original


@contextmanager
def _trainable(layers: Sequence[keras.layers.Layer]) -> Iterator[None]:
    """The layers, also those that their user has frozen, as trainable ones."""
    flags: Mapping[int, bool] = {id(layer): layer.trainable for layer in layers}
    try:
        for layer in layers:
            layer.trainable = True
        yield
    finally:
        for layer in layers:
            layer.trainable = flags[id(layer)]
