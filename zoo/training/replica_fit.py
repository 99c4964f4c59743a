"""What Keras' `fit` and `evaluate` lack to work on several replicas and workers; each step aside when Keras has it."""

import importlib
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

logger = logging.getLogger(__name__)

_KERAS_TRAINER = "keras.src.backend.tensorflow.trainer"  # not promised to anybody


class ReplicaFit:
    """For a `keras.Model`: metrics are built from what one replica sees.

    Keras averages the first batch over all replicas to learn its shape, which fails where their shares differ in size
    or lie on other workers. A Keras without `_maybe_symbolic_build` never asks for this.
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            local = self.distribute_strategy.experimental_local_results
            iterator, data_batch = None, keras.tree.map_structure(lambda value: local(value)[0], next(batches))
        super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras' `fit`."""
        with mended_metrics(self.distribute_strategy):
            return super().fit(*args, **kwargs)


@contextmanager
def mended_metrics(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """While in it, Keras takes the metrics of several workers as they are: the same on all of them already.

    Keras averages them over their first axis, and a scalar has none (keras issue 20585). Where a Keras does it in a
    place that isn't known here, this is told, and left to Keras.
    """
    several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    reduce_per_replica = _what_reduces_metrics() if several else None
    if reduce_per_replica is None or not _fails_for_scalars(reduce_per_replica, strategy):
        yield
        return

    def reduce_or_take_first(values: Any, strategy: tf.distribute.Strategy, reduction: str) -> Any:
        return reduce_per_replica(values, strategy, "first" if reduction == "auto" else reduction)

    keras_trainer = importlib.import_module(_KERAS_TRAINER)
    keras_trainer.reduce_per_replica = reduce_or_take_first
    try:
        yield
    finally:
        keras_trainer.reduce_per_replica = reduce_per_replica


def _what_reduces_metrics() -> Callable[..., Any] | None:
    try:
        function = importlib.import_module(_KERAS_TRAINER).reduce_per_replica
        if list(inspect.signature(function).parameters) == ["values", "strategy", "reduction"]:
            return function
    except (ImportError, AttributeError):
        pass
    logger.warning(
        "keras %s takes the metrics of several workers together in a way that isn't known here; if it fails there, "
        "use keras 3.12 to 3.15",
        keras.version(),
    )
    return None


def _fails_for_scalars(reduce_per_replica: Callable[..., Any], strategy: tf.distribute.Strategy) -> bool:
    try:
        reduce_per_replica(tf.constant(0.0), strategy, "auto")
    except (ValueError, tf.errors.InvalidArgumentError):
        return True
    return False
