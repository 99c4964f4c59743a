"""What training, evaluation and export need to know of a task, and all that they know."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Evaluation:
    """How good a model is: `metrics` (JSON numbers), and by name `tables` and `pictures`."""

    metrics: dict[str, float]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    pictures: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Signature:
    """An entry of a SavedModel: a function of one named tensor that returns a dict of tensors.

    `example(n)` is an input of batch size n, for the check after export.
    """

    name: str
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]]
    spec: tf.TensorSpec
    example: Callable[[int], np.ndarray]


@dataclass(frozen=True)
class ServingBatch:
    """Raw input for the signature called `signature`, and the labels that belong to it."""

    signature: str
    inputs: dict[str, tf.Tensor]
    labels: np.ndarray


class Task(Protocol):
    """Joins data, model, losses and metrics. Metrics whose name is `watch` choose the best epoch."""

    watch: str

    def build_model(self) -> keras.Model: ...

    def loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor: ...

    def training_metrics(self) -> list[keras.metrics.Metric]: ...

    def examples(self, split: str) -> int: ...

    def training_batches(
        self, batch_size: int, *, seed: int, epoch: int, skip: int = 0, share: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset: ...

    def evaluation_batches(self, split: str, batch_size: int) -> tf.data.Dataset: ...

    def probabilities(self, outputs: np.ndarray) -> np.ndarray: ...

    def serving_batches(self, split: str, batch_size: int) -> Iterator[ServingBatch]: ...

    def evaluate(self, results: Iterable[tuple[np.ndarray, np.ndarray]]) -> Evaluation: ...

    def signatures(self, model: keras.Model) -> list[Signature]: ...

    def summary(self) -> str: ...

    def metadata(self) -> dict[str, Any]: ...
