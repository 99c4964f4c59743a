"""What training, evaluation and export need to know of a task, and all that they know."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Evaluation:
    """How good a model is: `metrics` (JSON numbers), and by name `tables`, `pictures` and `files` (JSON)."""

    metrics: dict[str, float]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    pictures: dict[str, Figure] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Signature:
    """An entry of a SavedModel: a function of one named tensor that returns a dict of tensors.

    `example(n)` is an input of batch size n, for the check after export with each of `batch_sizes`. `graph` is the
    function as a graph, made once: of a detector that takes a while.
    """

    name: str
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]]
    spec: tf.TensorSpec
    example: Callable[[int], np.ndarray]
    batch_sizes: tuple[int, ...] = (1, 3, 8)

    @cached_property
    def graph(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        graph = tf.function(self.function, input_signature=[self.spec], autograph=False)
        graph.get_concrete_function()
        return graph


@dataclass(frozen=True)
class ServingBatch:
    """Raw input for the signature called `signature`, and the labels that belong to it.

    With it, so many `examples` of the split have been sent as a whole.
    """

    signature: str
    inputs: dict[str, tf.Tensor]
    labels: Any
    examples: int


class Task(Protocol):
    """Joins data, model, losses and metrics. Metrics whose name is `watch` choose the best epoch.

    `loss` is None where the model has a `compute_loss` of its own. `scored_whole` says that the metrics of a split are
    no means over its batches: it is scored by `evaluate` after every epoch.
    """

    watch: str
    scored_whole: bool
    loss: Callable[[Any, Any], tf.Tensor] | None

    def build_model(self) -> keras.Model: ...

    def training_metrics(self) -> list[keras.metrics.Metric]: ...

    def examples(self, split: str) -> int: ...

    def training_batches(
        self, batch_size: int, *, seed: int, epoch: int, skip: int = 0, share: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset: ...

    def validation_batches(self, batch_size: int) -> tf.data.Dataset:
        """What Keras validates with after every epoch, unless the task is scored whole."""

    def evaluation_batches(self, split: str, batch_size: int) -> tf.data.Dataset: ...

    def prediction(self, outputs: Any) -> Any:
        """What `evaluate` takes, of what the model puts out for a batch, NumPy arrays."""

    def served_prediction(self, outputs: dict[str, np.ndarray]) -> Any:
        """The same, of what a signature returns."""

    def serving_batches(self, split: str, batch_size: int) -> Iterator[ServingBatch]: ...

    def evaluate(self, results: Iterable[tuple[Any, Any]], split: str) -> Evaluation:
        """Scores batches of (labels, prediction) of a split."""

    def headline(self, metrics: dict[str, float]) -> str:
        """The metrics that count, in a few words."""

    def signatures(self, model: keras.Model) -> list[Signature]: ...

    def summary(self) -> str: ...

    def input_report(self) -> str | None:
        """How the input has kept up since the last time, where that may be slow."""

    def metadata(self) -> dict[str, Any]: ...
